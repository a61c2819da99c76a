"""`gan-restore restore`: restore photos with a trained model."""

from pathlib import Path

from tqdm.auto import tqdm
from tyro.conf import OmitArgPrefixes, Positional

from gan_restore import inference
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError
from gan_restore.images import list_images
from gan_restore.inference.devices import Compute


def main(args: list[str]) -> None:
    """Restore photos with a checkpoint."""

    def run(
        photos: Positional[tuple[Path, ...]],
        checkpoint: Path,
        out: Path,
        compute: OmitArgPrefixes[Compute] = Compute(),  # noqa: B008
    ) -> None:
        """Restore photos, each into a file of the same name in the folder OUT.

        A photo that cannot be read is left out and named at the end.

        Example: gan-restore restore old.png album/ --checkpoint runs/unet-denoiser-smoke --out restored

        Args:
            photos: Image files, or folders of them.
            checkpoint: A best.safetensors or a run folder.
            out: The folder for the restored photos; it must not be the one they come from.
            compute: Where to compute.
        """
        if not photos:
            raise UserError("no photos given; name at least one image file")
        photos = tuple(file for path in photos for file in (list_images(path) if path.is_dir() else [path]))
        targets = [out / photo.name for photo in photos]
        if len(set(targets)) < len(targets):
            raise UserError("two of the photos have the same file name; restore them into different folders")
        for photo, target in zip(photos, targets, strict=True):
            if target.exists() and target.resolve() == photo.resolve():
                raise UserError(f"{photo} would be overwritten; choose another --out")
        restorer, failed = inference.load_restorer(checkpoint, compute), []
        for photo, target in tqdm(list(zip(photos, targets, strict=True)), unit="photo", disable=len(photos) == 1):
            try:
                inference.restore_file(photo, target, restorer)
            except UserError as error:
                failed.append(str(error))
        done = len(photos) - len(failed)
        print(f"restored {done} photo{'s' * (done != 1)} into {out}")
        if failed:
            raise UserError(f"left out {len(failed)} of {len(photos)}: {'; '.join(failed)}; save them anew")

    parse(run, args, "gan-restore restore")
