"""Data sets: where images come from, and how one is read as a tensor.

Every data set is an `Images`: a torch `Dataset` of uint8 tensors 3 x H x W, with the degraded images that belong to
them if the data set has its own. The splits `train`, `val` and `test` never share a file: a data set's own splits
are kept; where it has none, a hash of the file's name decides (see `layouts`).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import skimage
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gan_restore.data.cache import decode_once
from gan_restore.data.fer2013 import read_fer2013
from gan_restore.data.layouts import Split, find_items
from gan_restore.data.store import CachedImages
from gan_restore.files import UserError, printable
from gan_restore.images import decode, enlarge_to, name_below, to_square, to_tensor

# The photos inside scikit-image. Both motorcycle photos show one scene, so they are in one split.
BUNDLED = {
    "train": [
        "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "motorcycle_right.png",
        "retina.jpg", "brick.png", "grass.png", "gravel.png", "moon.png", "page.png", "clock_motion.png",
    ],
    "val": ["rocket.jpg", "coins.png"],
    "test": ["astronaut.png", "chelsea.png", "camera.png"],
}  # fmt: skip


@dataclass
class Images(Dataset):
    """A set of images, decoded once and held as uint8 arrays in a memory map (or, if they are few, in memory).

    Floats are made one image at a time, when it is asked for.

    Attributes:
        arrays: The clean images, uint8 H x W x 3 or H x W, of any sizes.
        names: One name for each image, for tables and figures; bytes that are not UTF-8 are escaped.
        source: Name of the set, for tables and figures.
        unreadable: The reason for each file that `skip_unreadable` left out.
        degraded: The degraded images that belong to `arrays`, of the same sizes, if the data set has its own.
    """

    arrays: Sequence[np.ndarray]
    names: list[str]
    source: str
    unreadable: dict[Path, str] = field(default_factory=dict)
    degraded: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of clean images."""
        return len(self.arrays)

    def __getitem__(self, index: int) -> Tensor:
        """Clean image `index` as a uint8 tensor 3 x H x W."""
        return _planes(self.arrays[index])

    def clean(self, index: int, size: int = 0, crop: int = 0) -> Tensor:
        """Clean image `index` as a float32 batch of one.

        Args:
            index: Position of the image.
            size: Images whose shorter side is smaller are enlarged to it (see `images.enlarge_to`).
            crop: Largest height and width; more is cut off around the middle. 0 keeps all.

        Returns:
            1 x 3 x H x W in [0, 1].
        """
        return _prepare(self[index], size, crop)

    def pair(self, index: int, size: int = 0, crop: int = 0) -> tuple[Tensor, Tensor | None]:
        """The clean image, and the degraded image prepared in the same way (None if the data set has none).

        Arguments and shapes are those of `clean`.
        """
        degraded = None if self.degraded is None else _prepare(_planes(self.degraded[index]), size, crop)
        return self.clean(index, size, crop), degraded

    def sample(self, count: int, seed: int) -> "Images":
        """A random sample of `count` images without replacement, in the order of this set.

        The pixels are shared with this set, not copied. The same seed gives the same sample.

        Args:
            count: Number of images; 0, or as many as there are, gives the set itself.
            seed: Seed of the draw.

        Returns:
            The sample, with the names and degraded images that belong to it.

        Example:
            >>> load(None, "train").sample(3, seed=0).names
            ['brick.png', 'grass.png', 'gravel.png']
        """
        if not 0 < count < len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False)).tolist()
        degraded = None if self.degraded is None else _take(self.degraded, chosen)
        names = [self.names[i] for i in chosen]
        return replace(self, arrays=_take(self.arrays, chosen), names=names, degraded=degraded)


def _take(arrays: Sequence[np.ndarray], indices: list[int]) -> Sequence[np.ndarray]:
    return arrays.take(indices) if isinstance(arrays, CachedImages) else [arrays[i] for i in indices]


def _planes(array: np.ndarray) -> Tensor:
    array = array if array.ndim == 3 else np.broadcast_to(array[..., None], (*array.shape, 3))
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


def _prepare(planes: Tensor, size: int, crop: int) -> Tensor:
    image = enlarge_to(to_tensor(planes), size)
    height, width = image.shape[-2:]
    top, left = (max(0, (side - crop) // 2) if crop else 0 for side in (height, width))
    return image[..., top : top + (crop or height), left : left + (crop or width)].contiguous()


def load(
    path: str | Path | None, split: Split, *, square: int = 0, min_side: int = 0, skip_unreadable: bool = False
) -> Images:
    """Open a split of a data set. Images are decoded at the first call and cached (see `data.store`).

    Args:
        path: None for the photos inside scikit-image; `fer2013.csv`, alone or in a zip; a folder that holds
            either; or any folder of images, in one of the layouts of `data.layouts` or in none.
        split: "train", "val", "test", or "all" of them.
        square: Side to which the largest square in the middle of every image is resized; 0 keeps images as they
            are.
        min_side: Refuse the data set if the shorter side of a file has fewer pixels.
        skip_unreadable: Leave out damaged files (they are listed in `unreadable`) instead of raising.

    Raises:
        UserError: If nothing is there, a file is damaged, an image is too small, the split is empty, the two images
            of a pair differ in size, or the cache cannot be written.

    Example:
        >>> photos = load(None, "test")
        >>> photos.names
        ['astronaut.png', 'chelsea.png', 'camera.png']
        >>> photos.clean(0).shape
        torch.Size([1, 3, 512, 512])
    """
    if split not in get_args(Split):
        raise UserError(f"no split '{split}'; choose one of {', '.join(get_args(Split))}")
    if path is None:
        return _bundled(split, square, min_side)
    table = _fer2013_file(Path(path))
    if table:
        images = Images(*read_fer2013(table, split, square))
    else:
        images = _folder(Path(path), split, square, skip_unreadable)
    _refuse_small(images, min_side)
    return images


def _fer2013_file(path: Path) -> Path | None:
    """FER2013's csv or zip at `path`, or None for a folder of images."""
    if path.is_dir():
        return next((file for file in (path / "fer2013.csv", path / "fer2013.zip") if file.is_file()), None)
    if not path.exists():
        raise UserError(f"no such file or folder: {path}; check --data")
    if path.suffix.lower() in (".csv", ".zip"):
        return path
    raise UserError(f"{path} is neither a folder, a csv nor a zip; give a folder of images or fer2013.csv")


def _refuse_small(images: Images, min_side: int) -> None:
    """Raise `UserError` for the first image whose file has a shorter side below `min_side`."""
    arrays = images.arrays
    for i, name in enumerate(images.names if min_side else ()):
        width, height = arrays.file_size(i) if isinstance(arrays, CachedImages) else arrays[i].shape[1::-1]
        if min(width, height) < min_side:
            raise UserError(
                f"{images.source} holds an image of {width} x {height} pixels, {name}; the shorter side must be "
                f"at least {min_side}, because enlarged images would falsify the result: use larger ones"
            )


def _bundled(split: Split, square: int, min_side: int) -> Images:
    names = [name for key in (BUNDLED if split == "all" else (split,)) for name in BUNDLED[key]]
    folder = Path(skimage.__file__).parent / "data"
    images = Images([_bundled_photo(folder / name) for name in names], names, "scikit-image photos")
    _refuse_small(images, min_side)
    return replace(images, arrays=[to_square(photo, square) for photo in images.arrays]) if square else images


@cache
def _bundled_photo(path: Path) -> np.ndarray:
    return decode(path)


def _folder(folder: Path, split: Split, square: int, skip_unreadable: bool) -> Images:
    items = [item for item in find_items(folder) if split in ("all", item.split)]
    if not items:
        raise UserError(
            f"none of the images in {folder} falls into the split '{split}'; "
            "training needs some in train and val (30 photos are nearly always enough, or sort them into folders "
            "train/, val/ and test/); evaluate takes all of them with --split all"
        )
    paths = [path for item in items for path in (item.clean, item.degraded) if path]
    store, kept, unreadable = decode_once(folder, paths, square)
    _report(unreadable, len(paths), skip_unreadable)
    place = {paths[i]: position for position, i in enumerate(kept)}
    items = [item for item in items if item.clean in place and (item.degraded is None or item.degraded in place)]
    if not items:
        raise UserError(f"none of the {len(paths)} images in {folder} can be read")
    names, source = [printable(name_below(folder, item.clean)) for item in items], printable(folder.resolve().name)
    clean = store.take([place[item.clean] for item in items])
    # Either every image of a data set has a degraded one, or none has.
    partners = [item.degraded for item in items if item.degraded is not None]
    if not partners:
        return Images(clean, names, source, unreadable)
    degraded = store.take([place[path] for path in partners])
    for i, (item, partner) in enumerate(zip(items, partners, strict=True)):
        sizes = [" x ".join(map(str, side.file_size(i))) for side in (clean, degraded)]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"the two images of a pair differ in size: {item.clean} has {sizes[0]} and {partner} "
                f"{sizes[1]} pixels; make them equal or remove both"
            )
    return Images(clean, names, source, unreadable, degraded)


def _report(unreadable: dict[Path, str], count: int, skip: bool) -> None:
    """Refuse unreadable files, or say on stderr that they are left out."""
    if not unreadable:
        return
    if not skip:
        reason = next(iter(unreadable.values()))
        raise UserError(
            f"{reason} ({len(unreadable)} of {count} images unreadable); remove the file or pass --skip-unreadable"
        )
    first = next(iter(unreadable))
    print(f"skipped {len(unreadable)} of {count} images, unreadable; first: {printable(first)}", file=sys.stderr)
