"""Images: where they come from, and how one is had as a tensor.

Whatever the source, a data set is an `Images`: a torch `Dataset` of uint8 tensors 3 x H x W, and of their damaged
twins where the data set brings them. Three splits, `train`, `val` and `test`, never share an image: a data set's
own splits are kept; where it has none, a hash of the file's name decides (see `layouts`).
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import skimage
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gan_restore.data.cache import CachedImages, decode_once
from gan_restore.data.fer2013 import read_fer2013
from gan_restore.data.layouts import Split, find_items
from gan_restore.files import UserError
from gan_restore.images import decode, enlarge_to, name_below, to_square, to_tensor

# The photos that ship inside scikit-image. Both motorcycles show one scene, so they stay in one split.
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
    """A set of images held as uint8 arrays (in memory or memory-mapped), decoded once.

    Attributes:
        arrays: H x W x 3 or H x W uint8, any size each.
        names: one name an image, for tables and figures.
        source: what to call this set where a result is printed.
        unreadable: path -> reason, for files that were skipped because the caller asked for that.
        degraded: the damaged images that belong to `arrays`, of the same sizes, if the data set has its own.
    """

    arrays: Sequence[np.ndarray]
    names: list[str]
    source: str
    unreadable: dict[Path, str] = field(default_factory=dict)
    degraded: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> Tensor:
        """Clean image `index` as a uint8 tensor 3 x H x W."""
        return _planes(self.arrays[index])

    def clean(self, index: int, size: int = 0, crop: int = 0) -> Tensor:
        """Clean image `index` as 1 x 3 x H x W in [0, 1], enlarged until its shorter side is `size`.

        With `crop`, only the central crop x crop pixels of a larger image.
        """
        return _prepare(self[index], size, crop)

    def pair(self, index: int, size: int = 0, crop: int = 0) -> tuple[Tensor, Tensor | None]:
        """`clean`, and the damaged image prepared alike, or None where the data set has none of its own."""
        damaged = None if self.degraded is None else _prepare(_planes(self.degraded[index]), size, crop)
        return self.clean(index, size, crop), damaged

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
    """Open a split of a data set, whatever its form.

    Args:
        path: None for the photos inside scikit-image; `fer2013.csv`, alone or in a zip; a folder that holds
            that csv; or any folder of images, in one of the layouts that `layouts` names or in none.
        split: "train", "val", "test", or "all" of them.
        square: cut the largest square out of the middle of every image and resize it to this side; 0 keeps
            images as they are.
        min_side: refuse the data set if the shorter side of an image has fewer pixels, before `square` resizes it.
        skip_unreadable: leave out damaged files (they are listed in `unreadable`) instead of raising.

    Raises:
        UserError: if there is nothing there, a file is damaged, the split is empty, or the two images of a pair
            differ in size.

    Example:
        >>> photos = load(None, "train")
        >>> faces = load("data/celeba", "val", square=128)
    """
    if split not in get_args(Split):
        raise UserError(f"no split '{split}'; choose one of {', '.join(get_args(Split))}")
    if path is None:
        return _squared(_bundled(split), square, min_side)
    path = Path(path)
    if not path.exists():
        raise UserError(f"no such file or folder: {path}; check --data")
    if path.is_dir():
        for name in ("fer2013.csv", "fer2013.zip"):
            if (path / name).is_file():
                return _squared(Images(*read_fer2013(path / name, split)), square, min_side)
        return _folder(path, split, square, min_side, skip_unreadable)
    if path.suffix.lower() in (".csv", ".zip"):
        return _squared(Images(*read_fer2013(path, split)), square, min_side)
    raise UserError(f"{path} is neither a folder, a csv nor a zip; give a folder of images or fer2013.csv")


def _squared(images: Images, side: int, min_side: int) -> Images:
    _refuse_small(images, [array.shape[1::-1] for array in images.arrays], min_side)
    return replace(images, arrays=[to_square(array, side) for array in images.arrays]) if side else images


def _refuse_small(images: Images, sizes: Iterable[tuple[int, ...]], min_side: int) -> None:
    """Raise `UserError` for the first image whose shorter side is below `min_side`; sizes are (width, height)."""
    for name, size in zip(images.names, sizes, strict=True):
        if min(size) < min_side:
            raise UserError(
                f"{images.source} holds an image of {size[0]} x {size[1]} pixels, {name}; the shorter side must be "
                f"at least {min_side}, because enlarged images would falsify the result: use larger ones"
            )


def _bundled(split: Split) -> Images:
    names = [name for key in (BUNDLED if split == "all" else (split,)) for name in BUNDLED[key]]
    folder = Path(skimage.__file__).parent / "data"
    return Images([_bundled_photo(folder / name) for name in names], names, "scikit-image photos")


@cache
def _bundled_photo(path: Path) -> np.ndarray:
    return decode(path)


def _folder(folder: Path, split: Split, square: int, min_side: int, skip_unreadable: bool) -> Images:
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
    names = [name_below(folder, item.clean) for item in items]
    clean = [place[item.clean] for item in items]
    images = Images(store.take(clean), names, folder.name, unreadable)
    _refuse_small(images, (store.file_size(i) for i in clean), min_side)
    if items[0].degraded is None:
        return images
    degraded = [place[item.degraded] for item in items]
    for item, ours, theirs in zip(items, clean, degraded, strict=True):
        sizes = [" x ".join(map(str, store.file_size(i))) for i in (ours, theirs)]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"the two images of a pair differ in size: {item.clean} has {sizes[0]} and {item.degraded} "
                f"{sizes[1]} pixels; make them equal or remove both"
            )
    return replace(images, degraded=store.take(degraded))


def _report(unreadable: dict[Path, str], count: int, skip: bool) -> None:
    if not unreadable:
        return
    if not skip:
        reason = next(iter(unreadable.values()))
        raise UserError(
            f"{reason} ({len(unreadable)} of {count} images unreadable); remove the file or pass --skip-unreadable"
        )
    first = next(iter(unreadable))
    print(f"skipped {len(unreadable)} of {count} images, unreadable; first: {first}", file=sys.stderr)
