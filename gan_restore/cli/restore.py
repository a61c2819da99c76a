"""`gan-restore restore`: restore photos with one or several trained networks."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm.auto import tqdm
from tyro.conf import Positional, UseAppendAction

from gan_restore import inference
from gan_restore.cli.arguments import parse
from gan_restore.cli.restore_targets import check_folder, find_targets, other_files
from gan_restore.files import UserError, printable
from gan_restore.inference.checkpoints import checkpoint_file
from gan_restore.inference.devices import Compute, Device, Precision
from gan_restore.inference.models import listed, model_path
from gan_restore.photos import photo_warnings


def main(args: list[str]) -> None:
    """Restore photos with models that are part of the package, or with checkpoints.

    Raises:
        UserError: If a photo, a model, a checkpoint or the device is not there, or photos were left out.
    """

    def run(
        photos: Positional[tuple[str, ...]],
        out: str,
        model: Annotated[UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME")] = (),
        checkpoint: Annotated[UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")] = (),
        enhance: Literal["auto"] | None = None,
        strength: float = 1.0,
        preserve: float = 0.0,
        ensemble: bool = False,
        mask: Path | None = None,
        unguarded: bool = False,
        overwrite: bool = False,
        ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        compile: Literal["off", "on"] = "off",
    ) -> None:
        """Restore photos, each into a file of the same name in the folder OUT.

        The photos of a folder keep their place in its subfolders. If several folders are given, each gets a folder
        of its name in OUT. Colour profile, EXIF data and resolution are kept. A photo that cannot be read is left
        out and named at the end, and a folder's files that are no images are counted. A photo whose file in OUT
        exists is skipped, also if another model made it, so the same command continues where it stopped.

        Example: gan-restore restore old.png album/ --model scratches --out restored

        Example: gan-restore restore album/ --model scratches --model x4 --strength 0.7 --out restored

        Example: gan-restore restore old.png --enhance auto --out restored

        Example: gan-restore restore old.png --checkpoint runs/unet-denoiser-smoke --out restored

        Example: gan-restore restore s3://bucket/scans --model x2 --out s3://bucket/restored --ray auto

        Args:
            photos: Image files, folders of them, or patterns such as "scans/**/*.jpg".
            out: The folder for the restored photos. If it is in a folder of photos, its own files are not restored.
            model: The name of a model that is part of the package; gan-restore models lists them. Several, each
                with a --model of its own, are applied one after another.
            checkpoint: Instead of models: a best.safetensors or a run folder, or several of them.
            enhance: Instead of models: measure each photo, choose models for it, and print what was chosen and why.
            strength: Between the photo as it is, 0, and the restored one, 1.
            preserve: Pixels that changed by less than this keep their values exactly: from 0 to 1, 0.02 is 5 of
                255. For models that keep the size only.
            ensemble: Restore all eight flips and quarter turns and average them; takes eight times as long.
            mask: An image of the photo's size, white where the photo may change and black where it must not. For
                models that keep the size only.
            unguarded: Leave a visible change of brightness or colour in large areas as the model made it.
            overwrite: Replace files in OUT instead of skipping their photos.
            ray: Restore on the Ray cluster with this address, such as auto or host:6379; local starts one on this
                machine. Photos and OUT can then be URLs, such as s3://bucket/scans.
            device: auto uses a GPU if there is one.
            precision: auto uses bfloat16 on GPUs that have it in hardware, and 32 bits elsewhere.
            compile: on compiles the networks with torch.compile first; docs/restoring.md says when it pays.
        """
        if not photos:
            raise UserError("no photos given; name at least one image file")
        if sum(map(bool, (model, checkpoint, enhance))) != 1:
            raise UserError(f"give either --model NAME, --checkpoint FILE or --enhance auto; {listed()}")
        if ray is None or "://" not in out:
            check_folder(Path(out))
        files = [model_path(name) for name in model] or list(checkpoint)
        compute = Compute(device, precision=precision, compile=compile)
        options = {"strength": strength, "preserve": preserve, "ensemble": ensemble}
        painted = None if mask is None else inference.read_mask(mask)
        if ray is not None:
            if enhance:
                raise UserError("--ray needs --model or --checkpoint; --enhance auto is for one machine")
            from gan_restore.cli.restore_archive import restore_on_ray
            from gan_restore.inference.cluster import Settings

            for file in files:  # a mistake is told before any worker starts
                inference.load_restorer(file, Compute("cpu"), **options)
            contents = tuple(checkpoint_file(file).read_bytes() for file in files)
            settings = Settings(contents, compute, options, not unguarded, painted, overwrite)
            return restore_on_ray(photos, out, ray, settings)
        targets = find_targets(photos, Path(out))
        todo = {target: photo for target, photo in targets.items() if overwrite or not target.exists()}

        @functools.cache
        def load(checkpoint: str | Path) -> inference.Restorer:
            return inference.load_restorer(checkpoint, compute, **options)

        restorers = [load(file) for file in files]
        failed, restored = [], 0
        bar = tqdm(todo.items(), unit="photo", disable=len(todo) == 1)
        try:
            for target, photo in bar:
                try:
                    if enhance:
                        restorers = _advised(photo, load, same_size=painted is not None or preserve > 0)
                    if not restorers:
                        continue
                    with photo_warnings() as told:
                        inference.restore_file(photo, target, *restorers, guarded=not unguarded, mask=painted)
                    restored += 1
                    for message in told:
                        tqdm.write(printable(f"gan-restore: {photo}: {message}"), file=sys.stderr)
                except UserError as error:
                    failed.append(str(error))
        except KeyboardInterrupt:
            bar.close()
            print(stopped(restored, len(todo), overwrite))
            raise
        well = len(todo) - restored - len(failed)
        needless = f"; {_photos(well)} needed nothing" if well else ""
        print(f"{summary(restored, out, len(targets) - len(todo))}{needless}")
        if others := other_files(photos, Path(out)):
            print(_unknown(others))
        if len(failed) > 1:
            for message in failed:
                print(f"gan-restore: {message}", file=sys.stderr)
        if failed:
            named = ", which are named above" if len(failed) > 1 else f": {failed[0]}"
            raise UserError(f"left out {len(failed)} of {len(targets)}{named}")

    parse(run, args, "gan-restore restore")


def summary(restored: int, out: str, skipped: int) -> str:
    """What was done with how many photos."""
    again = ""
    if skipped:
        files, them = ("file is", "it") if skipped == 1 else ("files are", "them")
        again = (
            f"; skipped {_photos(skipped)} whose {files} there already, perhaps from another model "
            f"(--overwrite replaces {them})"
        )
    return f"restored {_photos(restored)} into {out}{again}"


def stopped(restored: int, photos: int, overwrite: bool) -> str:
    """What to say after Ctrl-C. With `overwrite`, the same command would restore all photos again."""
    again = "" if overwrite else " The same command continues from there."
    return f"Stopped; restored {restored} of {_photos(photos)}.{again}"


def _unknown(files: set[Path]) -> str:
    """How many files of folders are no images, with their suffixes."""
    suffixes = ", ".join(sorted({file.suffix.lower() or "without suffix" for file in files}))
    number = "1 file is no image" if len(files) == 1 else f"{len(files)} files are no images"
    return printable(f"{number} of a known format: {suffixes}")


def _photos(number: int) -> str:
    return f"{number} photo{'s' * (number != 1)}"


def _advised(photo: Path, load: Callable[[str], inference.Restorer], same_size: bool) -> list[inference.Restorer]:
    """The restorers that a photo needs, which are printed with their reasons."""
    with photo_warnings():  # they come again when the photo is restored
        read = inference.read_photo(photo)
    advice = inference.advise(read, load, same_size=same_size)
    for choice in advice:
        tqdm.write(printable(f"{photo}: {choice}"))
    return [load(choice.model) for choice in advice if choice.use]
