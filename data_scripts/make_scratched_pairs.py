"""Make pairs of clean and scratched photos, in HumanFace8000's layout, from any folder of clean photos.

    python data_scripts/make_scratched_pairs.py PHOTOS OUT
    python data_scripts/make_scratched_pairs.py PHOTOS OUT --overlays SCANS --no-draw --masks --size 512

Each photo becomes two files with its name and subfolder below `OUT/humanface8000/landscape Images`: clean in
`color`, damaged in `gray`. The damage depends only on the seed and the name. Existing files are kept, so the same
command continues after an interruption.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from filelock import FileLock, Timeout
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm
from tyro.conf import Positional

from gan_restore.cli.arguments import parse
from gan_restore.degradations.base import Compose, random_seed, seeded
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.scratches import Scratches
from gan_restore.files import UserError, read_json, write_json, writing
from gan_restore.images import list_images, quantise, read, to_bytes

SCRIPT = "python data_scripts/make_scratched_pairs.py"
LAYOUT = Path("humanface8000", "landscape Images")
RECORD = ".pairs.json"  # how the pairs were made; hidden, so that image loaders ignore it
Photos = Annotated[Path, tyro.conf.arg(metavar="PHOTOS")]
Out = Annotated[Path, tyro.conf.arg(metavar="OUT")]
Overlays = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
# Names do not change, so a file has the photo's format, with as little loss as the format allows.
_OPTIONS = {
    ".jpg": {"quality": 95, "subsampling": "4:4:4"},
    ".jpeg": {"quality": 95, "subsampling": "4:4:4"},
    ".webp": {"lossless": True},
}


@dataclass(frozen=True)
class Job:
    """How each photo becomes a pair.

    Attributes:
        photos: folder of clean photos.
        out: folder for the pairs.
        damage: the degradation.
        seed: seed of the damage.
        size: pixels on the longer side that photos are shrunk to; 0 keeps their size.
        masks: whether masks are written too.
    """

    photos: Path
    out: Path
    damage: Compose
    seed: int
    size: int
    masks: bool

    def targets(self, photo: Path) -> dict[str, Path]:
        """The files of a photo by kind. A mask is always a PNG, since JPEG would blur it."""
        name = photo.relative_to(self.photos)
        files = {kind: self.out / LAYOUT / kind / name for kind in ("color", "gray")}
        if self.masks:
            files["masks"] = self.out / LAYOUT / "masks" / name.with_name(f"{name.name}.png")
        return files

    def run(self, photo: Path) -> None:
        """Write the missing files of one photo.

        Raises:
            UserError: if the photo cannot be read.
        """
        try:
            clean = shrunk(read(photo), self.size)
        except UserError as error:
            raise UserError(f"{error}; repair or remove it, then run the same command again") from None
        # A seed by name, so that the order and the number of workers make no difference.
        name = hashlib.sha256(photo.relative_to(self.photos).as_posix().encode()).digest()
        generator = seeded(random_seed(self.seed, int.from_bytes(name[:8], "big")))
        damaged, mask = self.damage.with_mask(clean, generator)
        images = {"color": clean, "gray": damaged, "masks": mask}
        for kind, path in self.targets(photo).items():
            if not path.exists():
                _save(path, images[kind])


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pairs.

    Returns:
        The exit code: 0, 2 for an error that the user can correct, 130 after Ctrl-C.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        parse(make, args, SCRIPT)
    except UserError as error:
        print(f"make_scratched_pairs: {str(error).replace(chr(10), ' ')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmake_scratched_pairs: stopped; the same command continues from here", file=sys.stderr)
        return 130
    except SystemExit as stop:  # --help was shown
        return int(stop.code or 0)
    return 0


def make(
    photos: Positional[Photos],
    out: Positional[Out],
    draw: bool = True,
    overlays: Overlays = None,
    masks: bool = False,
    seed: int = 0,
    size: int = 0,
    workers: int = os.cpu_count() or 1,
) -> None:
    """Make pairs of clean and scratched photos, in HumanFace8000's layout. Existing files are kept.

    Example: python data_scripts/make_scratched_pairs.py my/photos data/scratched --size 512 --masks

    Args:
        photos: Folder of clean photos, with subfolders.
        out: Folder for the pairs.
        draw: Draw scratches, cracks, dust and stains.
        overlays: Folder of scanned scratches, light on black, to overlay.
        masks: Also write masks, white where the photo is damaged, as NAME.png in a third folder.
        seed: Seed of the damage.
        size: Shrink photos to this many pixels on the longer side; 0 keeps them. Scratches suit about 512.
        workers: Number of processes.
    """
    _check(photos, out, draw, overlays, seed, size, workers)
    paths = list_images(photos)
    for path in paths:
        if path.suffix.lower() == ".gif":
            raise UserError(f"{path}: GIF has only 256 colours; convert it to PNG or remove it")
    steps = [*([Scratches()] if draw else []), *([ScratchOverlay(str(overlays))] if overlays else [])]
    job = Job(photos, out, Compose(*steps), seed, size, masks)
    with _working_on(job, overlays):
        missing = [path for path in paths if not all(file.exists() for file in job.targets(path).values())]
        bar = tqdm(desc="scratching", unit="photo", total=len(paths), initial=len(paths) - len(missing))
        with bar:
            for _ in _run_all(job, missing, min(workers, len(missing))):
                bar.update()
    print(f"{out / LAYOUT}: {len(paths)} pairs, {len(missing)} of them new")
    print(f'next: gan-restore train pix2pix --scale small --data "{out}"')


def _check(photos: Path, out: Path, draw: bool, overlays: Path | None, seed: int, size: int, workers: int) -> None:
    if not draw and not overlays:
        raise UserError("--no-draw leaves no damage: add --overlays FOLDER, or remove --no-draw")
    if out.resolve().is_relative_to(photos.resolve()):
        raise UserError(f"{out} lies in {photos}, so its files would be read as photos; choose another OUT")
    for name, value, least in (("seed", seed, 0), ("size", size, 0), ("workers", workers, 1)):
        if value < least:
            raise UserError(f"--{name} must be at least {least}, not {value}")
    if overlays:
        list_images(overlays)


@contextlib.contextmanager
def _working_on(job: Job, overlays: Path | None) -> Iterator[None]:
    """Lock OUT for this process and check that its pairs were made with the same settings.

    Raises:
        UserError: if another process holds the lock, the settings differ, or the disk cannot be read or written.
    """
    settings = {
        "photos": str(job.photos.resolve()),
        "seed": job.seed,
        "size": job.size,
        "damage": [repr(step) for step in job.damage.steps if not isinstance(step, ScratchOverlay)],
        "overlays": _digest(overlays) if overlays else None,
    }
    record = job.out / RECORD
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        with FileLock(job.out / ".lock", timeout=0):
            if record.exists():
                before = read_json(record)
                for name, value in settings.items():
                    if before.get(name) != value:
                        raise UserError(
                            f"{job.out} was made with a different {name} ({before.get(name)}, now {value}); "
                            "use the same settings, or choose another OUT"
                        )
            elif (job.out / LAYOUT).exists():
                raise UserError(f"{job.out / LAYOUT} was not made by this script; choose another OUT")
            else:
                write_json(record, settings)
            for unfinished in (job.out / LAYOUT).rglob(".*"):  # left by a process that was killed
                unfinished.unlink()
            yield
    except Timeout:
        raise UserError(f"another process is writing to {job.out}; wait for it, then run this again") from None
    except OSError as error:
        raise UserError(
            f"cannot read or write {error.filename or job.out}: {error.strerror or error}; "
            "free some space or choose another OUT"
        ) from None


def _digest(folder: Path) -> str:
    """A hash of the names and the content of the images in a folder."""
    found = hashlib.sha256()
    for path in list_images(folder):
        found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _run_all(job: Job, photos: list[Path], workers: int) -> Iterator[None]:
    """Make pairs of all photos and yield after each.

    Raises:
        UserError: if a photo cannot be read, or a worker was killed.
    """
    if workers < 2:
        yield from map(job.run, photos)
        return
    # Spawned, since a fork of a process in which torch has threads can deadlock.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        for done in as_completed([pool.submit(job.run, photo) for photo in photos]):
            yield done.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker was killed, perhaps because memory ran out; run the same command again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)  # each worker has one core
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and lets the started photos finish


def shrunk(photo: Tensor, size: int) -> Tensor:
    """Shrink a photo, 1 x 3 x H x W, to `size` pixels on its longer side; bicubic with antialiasing.

    Photos that are not larger, and all photos if `size` is 0, are returned unchanged.
    """
    longer = max(photo.shape[2:])
    if not size or longer <= size:
        return photo
    shape = [max(1, round(side * size / longer)) for side in photo.shape[2:]]
    return quantise(F.interpolate(photo, size=shape, mode="bicubic", antialias=True))


def _save(path: Path, image: Tensor) -> None:
    pixels = to_bytes(image)[0].permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    with writing(path) as part:
        picture.save(part, **_OPTIONS.get(path.suffix.lower(), {}))


if __name__ == "__main__":
    sys.exit(main())
