"""Clean photos: where they come from, which part they belong to, and how a batch of crops is drawn.

Whatever the source, a data set is an `Images`: a torch `Dataset` of uint8 tensors 3 x H x W. Three parts,
`train`, `val` and `test`, never share an image: a data set's own parts are kept; where it has none, a hash of
the file's name decides, so that adding files moves no image from one part to another.
"""

import csv
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import skimage
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gan_restore.cache import decode_once
from gan_restore.files import UserError
from gan_restore.images import decode, enlarge_to, list_images, to_tensor

Part = Literal["train", "val", "test", "all"]
Augment = Literal["none", "flip", "dihedral"]

# The photos that ship inside scikit-image. Both motorcycles show one scene, so they stay in one part.
BUNDLED = {
    "train": [
        "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "motorcycle_right.png",
        "retina.jpg", "brick.png", "grass.png", "gravel.png", "moon.png", "page.png", "clock_motion.png",
    ],
    "val": ["rocket.jpg", "coins.png"],
    "test": ["astronaut.png", "chelsea.png", "camera.png"],
}  # fmt: skip

_FER2013_PARTS = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}
_FOLDER_PARTS = {"train": {"train"}, "val": {"val", "valid", "validation"}, "test": {"test"}}


@dataclass
class Images(Dataset):
    """A set of images held as uint8 arrays (in memory or memory-mapped), decoded once.

    Attributes:
        arrays: H x W x 3 or H x W uint8, any size each.
        names: one name an image, for tables and figures.
        source: what to call this set where a result is printed.
        unreadable: path -> reason, for files that were skipped because the caller asked for that.
    """

    arrays: Sequence[np.ndarray]
    names: list[str]
    source: str
    unreadable: dict[Path, str] = field(default_factory=dict)
    degraded: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> Tensor:
        """Image `index` as a uint8 tensor 3 x H x W."""
        return torch.from_numpy(np.array(_with_channels(self.arrays[index]))).permute(2, 0, 1)

    def clean(self, index: int, size: int = 0, crop: int = 0) -> Tensor:
        """Image `index` as 1 x 3 x H x W in [0, 1], enlarged until its shorter side is `size`.

        With `crop`, only the central crop x crop pixels of a larger image.
        """
        image = enlarge_to(to_tensor(self[index]), size)
        height, width = image.shape[-2:]
        top, left = (max(0, (side - crop) // 2) if crop else 0 for side in (height, width))
        return image[..., top : top + (crop or height), left : left + (crop or width)].contiguous()

    def pair(self, index: int, size: int = 0, crop: int = 0) -> tuple[Tensor, Tensor | None]:
        """`clean`, and the damaged image prepared alike, or None where the data set has none of its own."""
        damaged = Images(self.degraded, self.names, self.source) if self.degraded is not None else None
        return self.clean(index, size, crop), damaged.clean(index, size, crop) if damaged else None


def _with_channels(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 3 else np.broadcast_to(array[..., None], (*array.shape, 3))


def load(path: str | Path | None, part: Part, *, skip_unreadable: bool = False) -> Images:
    """Open a part of a data set, whatever its form.

    Args:
        path: None for the photos inside scikit-image; `fer2013.csv`, alone or in a zip; a folder that holds
            that csv; a folder with `train`, `val` and `test` folders (FER2013's folder edition has two of
            them: what is missing is taken from `train` by the hash of the name); or any folder of images.
        part: "train", "val", "test", or "all" of them.
        skip_unreadable: leave out damaged files (they are listed in `unreadable`) instead of raising.

    Raises:
        UserError: if there is nothing there, a file is damaged, or the part is empty.

    Example:
        >>> photos = load(None, "train")
        >>> faces = load("fer2013.zip", "val")
    """
    if part not in get_args(Part):
        raise UserError(f"no part '{part}'; choose one of {', '.join(get_args(Part))}")
    if path is None:
        return _bundled(part)
    path = Path(path)
    if not path.exists():
        raise UserError(f"no such file or folder: {path}; check --data")
    if path.is_dir():
        for name in ("fer2013.csv", "fer2013.zip"):
            if (path / name).is_file():
                return _fer2013_csv(path / name, part)
        return _folder(path, part, skip_unreadable)
    if path.suffix.lower() in (".csv", ".zip"):
        return _fer2013_csv(path, part)
    raise UserError(f"{path} is neither a folder, a csv nor a zip; give a folder of images or fer2013.csv")


def _bundled(part: Part) -> Images:
    names = [name for key in (BUNDLED if part == "all" else (part,)) for name in BUNDLED[key]]
    folder = Path(skimage.__file__).parent / "data"
    return Images([_bundled_photo(folder / name) for name in names], names, "scikit-image photos")


@cache
def _bundled_photo(path: Path) -> np.ndarray:
    return decode(path)


def part_of(name: str) -> Part:
    """The part that a file of this name (without folder and suffix) belongs to: 80 % train, 10 % val, 10 % test."""
    share = int.from_bytes(hashlib.sha256(name.lower().encode()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


def _folder(folder: Path, part: Part, skip_unreadable: bool) -> Images:
    own = _own_parts(folder)
    chosen = [path for path in list_images(folder) if part in ("all", _folder_part(path.relative_to(folder), own))]
    if not chosen:
        raise UserError(
            f"none of the images in {folder} falls into the part '{part}'; "
            "add images, sort them into train/, val/ and test/ folders, or evaluate with --part all"
        )
    arrays, kept, unreadable = decode_once(folder, chosen)
    if unreadable and not skip_unreadable:
        reason = next(iter(unreadable.values()))
        raise UserError(
            f"{reason} ({len(unreadable)} of {len(chosen)} images unreadable); "
            "remove the file or pass --skip-unreadable"
        )
    if unreadable:
        first = next(iter(unreadable))
        print(f"skipped {len(unreadable)} of {len(chosen)} images, unreadable; first: {first}", file=sys.stderr)
    if not kept:
        raise UserError(f"none of the {len(chosen)} images in {folder} can be read")
    return Images(arrays, [chosen[i].relative_to(folder).as_posix() for i in kept], folder.name, unreadable)


def _own_parts(folder: Path) -> dict[Part, set[str]]:
    """The parts that have a folder of their own, if `train` is one of them."""
    folders = {child.name.lower() for child in folder.iterdir() if child.is_dir()}
    found = {part: folders & names for part, names in _FOLDER_PARTS.items() if folders & names}
    return found if "train" in found else {}


def _folder_part(relative: Path, own: dict[Part, set[str]]) -> Part:
    """A part with a folder of its own is that folder; parts without one share `train` (or all) by the hash."""
    for part, names in own.items():
        if part != "train" and relative.parts[0].lower() in names:
            return part
    hashed = part_of(relative.stem)
    return "train" if hashed in own else hashed


def _fer2013_csv(path: Path, part: Part) -> Images:
    wanted = set(_FER2013_PARTS.values()) if part == "all" else {_FER2013_PARTS[part]}
    faces, names = [], []
    try:
        with _csv_lines(path) as lines:
            rows = csv.DictReader(lines)
            missing = {"pixels", "Usage"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(
                    f"{path} has no column '{sorted(missing)[-1]}'; FER2013's header is emotion,pixels,Usage"
                )
            for number, row in enumerate(rows, start=2):
                if row["Usage"] in wanted:
                    faces.append(_face(path, number, row["pixels"]))
                    names.append(f"{row['Usage']}/{number}")
    except (
        OSError,
        EOFError,
        RuntimeError,
        UnicodeDecodeError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"cannot read {path}: {error}; download it again") from None
    if not faces:
        raise UserError(f"{path} has no rows of {' or '.join(sorted(wanted))}; download it again")
    return Images(np.stack(faces), names, f"FER2013 {'all' if part == 'all' else _FER2013_PARTS[part]}")


def _csv_lines(path: Path) -> io.TextIOBase:
    if path.suffix.lower() == ".csv":
        return path.open(encoding="utf-8", newline="")
    archive = zipfile.ZipFile(path)
    inside = [name for name in archive.namelist() if Path(name).name.lower() == "fer2013.csv"]
    if not inside:
        raise UserError(f"no fer2013.csv inside {path}; unpack other archives first and give the folder")
    return io.TextIOWrapper(archive.open(inside[0]), encoding="utf-8", newline="")


def _face(path: Path, number: int, pixels: str | None) -> np.ndarray:
    try:
        face = np.array((pixels or "").split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise UserError(f"{path}, line {number}: pixels are not whole numbers; download it again") from None
    if face.size != 48 * 48 or face.min() < 0 or face.max() > 255:
        raise UserError(
            f"{path}, line {number}: {face.size} pixels, not 48 x 48 values from 0 to 255; download it again"
        )
    return face.astype(np.uint8).reshape(48, 48)


class Batches(Dataset):
    """Batches of random crops; batch `step` is a pure function of (seed, step), so a run resumes exactly.

    Item `step` is a uint8 tensor N x C x H x W with C of 1 (gray sources) or 3. Each epoch shows every image
    `crops_per_image` times in a new order. Images smaller than `size` come back whole, to be enlarged on the
    device (`images.enlarge_to`), if all have one size, and enlarged here if not.

    Args:
        size: side of the square crops.
        batch_size: images a batch, over all processes together.
        augment: "flip" mirrors half the crops; "dihedral" also turns by quarters.
        rank, world: this process takes every `world`-th image of a batch, beginning at `rank`.
    """

    def __init__(
        self,
        images: Images,
        size: int,
        batch_size: int,
        seed: int = 0,
        augment: Augment = "none",
        crops_per_image: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size % world:
            raise UserError(f"a batch of {batch_size} cannot be shared by {world} devices evenly")
        self.images, self.size, self.batch_size, self.seed = images, size, batch_size, seed
        self.augment, self.crops_per_image, self.rank, self.world = augment, crops_per_image, rank, world
        shapes = {images.arrays[i].shape for i in range(len(images))}
        height, width = next(iter(shapes))[:2]
        self._whole = len(shapes) == 1 and height == width < size
        self.steps_per_epoch = max(1, len(images) * crops_per_image // batch_size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        """Steps in one epoch; later steps are valid too."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            indices = np.tile(np.arange(len(self.images)), self.crops_per_image)
            order = np.random.default_rng((self.seed, 0, epoch)).permutation(indices)
            self._order = (epoch, np.resize(order, max(len(order), self.batch_size)))
        start = position * self.batch_size + self.rank
        mine = self._order[1][start : (position + 1) * self.batch_size : self.world]
        rng = np.random.default_rng((self.seed, 1, step, self.rank))
        crops = [self._crop(self.images.arrays[i], rng) for i in mine]
        # Slices are copied one by one into the batch: several times faster than advanced indexing.
        batch = np.empty((len(crops), *crops[0].shape), np.uint8)
        for target, crop in zip(batch, crops, strict=True):
            target[...] = crop
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    def _crop(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        array = array if array.ndim == 3 else array[..., None]
        if not self._whole:
            if min(array.shape[:2]) < self.size:
                array = _enlarged(array, self.size)
            top, left = (rng.integers(side - self.size + 1) for side in array.shape[:2])
            array = array[top : top + self.size, left : left + self.size]
        if self.augment != "none" and rng.integers(2):
            array = array[:, ::-1]
        if self.augment == "dihedral":
            array = np.rot90(array, rng.integers(4))
        return array

    def loader(self, start: int, stop: int, workers: int = 0) -> Iterator[Tensor]:
        """Batches `start` to `stop` - 1 in order, through a torch `DataLoader`."""
        pin = torch.cuda.is_available()
        return iter(DataLoader(self, None, sampler=range(start, stop), num_workers=workers, pin_memory=pin))


def _enlarged(array: np.ndarray, size: int) -> np.ndarray:
    image = enlarge_to(to_tensor(np.ascontiguousarray(array)), size)
    return (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
