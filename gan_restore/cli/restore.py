"""`gan-restore restore`: restore photos with a trained network."""

from pathlib import Path
from typing import Annotated

import tyro
from tqdm.auto import tqdm
from tyro.conf import OmitArgPrefixes, Positional

from gan_restore import inference
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError
from gan_restore.images import list_images
from gan_restore.inference.devices import Compute
from gan_restore.inference.models import listed, model_path


def main(args: list[str]) -> None:
    """Restore photos with a model that is part of the package, or with a checkpoint.

    Raises:
        UserError: If a photo, the model, the checkpoint or the device is not there, or photos were left out.
    """

    def run(
        photos: Positional[tuple[Path, ...]],
        out: Path,
        model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
        checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
        compute: OmitArgPrefixes[Compute] = Compute(),  # noqa: B008
    ) -> None:
        """Restore photos, each into a file of the same name in the folder OUT.

        The photos of a folder keep their place in its subfolders. If several folders are given, each gets a folder
        of its name in OUT. Colour profile, EXIF data and resolution are kept. A photo that cannot be read is left
        out and named at the end.

        Example: gan-restore restore old.png album/ --model scratches --out restored

        Example: gan-restore restore old.png --checkpoint runs/unet-denoiser-smoke --out restored

        Args:
            photos: Image files, or folders of them.
            out: The folder for the restored photos. If it is in a folder of photos, its own files are not restored.
            model: The name of a model that is part of the package; gan-restore models lists them.
            checkpoint: Instead of a model: a best.safetensors or a run folder.
            compute: Where to compute.
        """
        if not photos:
            raise UserError("no photos given; name at least one image file")
        file = checkpoint if model is None else model_path(model)
        if file is None or (model is not None and checkpoint is not None):
            raise UserError(f"give either --model NAME or --checkpoint FILE; {listed()}")
        targets = _targets(photos, out)
        restorer, failed = inference.load_restorer(file, compute), []
        for target, photo in tqdm(targets.items(), unit="photo", disable=len(targets) == 1):
            try:
                inference.restore_file(photo, target, restorer)
            except UserError as error:
                failed.append(str(error))
        done = len(targets) - len(failed)
        print(f"restored {done} photo{'s' * (done != 1)} into {out}")
        if failed:
            more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
            raise UserError(f"left out {len(failed)} of {len(targets)}: {'; '.join(failed[:3])}{more}")

    parse(run, args, "gan-restore restore")


def _targets(photos: tuple[Path, ...], out: Path) -> dict[Path, Path]:
    """The photo to restore into each target file.

    Raises:
        UserError: If there is no photo, two photos have the same target, or a target is its own photo.
    """
    several = sum(path.is_dir() for path in photos) > 1
    named: list[tuple[Path, Path]] = []
    for path in photos:
        if path.is_dir():
            place = out / path.resolve().name if several else out
            # Files in OUT, if it is a subfolder, were restored by an earlier run.
            inside = out.resolve() if path.resolve() in out.resolve().parents else None
            found = [file for file in list_images(path) if not inside or inside not in file.resolve().parents]
            named += [(place / file.relative_to(path), file) for file in found]
        else:
            named.append((out / path.name, path))
    targets: dict[Path, Path] = {}
    for target, photo in named:
        other = targets.setdefault(target, photo)
        if other != photo:
            raise UserError(f"{other} and {photo} would both become {target}; restore them into different folders")
        if target.exists() and target.resolve() == photo.resolve():
            raise UserError(f"{photo} would be overwritten; choose another --out")
    if not targets:
        raise UserError(f"all images in {', '.join(map(str, photos))} are in {out} already; give other photos")
    return targets
