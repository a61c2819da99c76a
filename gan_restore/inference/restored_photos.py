"""Photos and image files, restored by one or several restorers."""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_restore.files import MemoryFile
from gan_restore.images import decode, to_tensor, to_unit, write_unit
from gan_restore.inference.finishing import enlarged
from gan_restore.inference.guard import guard
from gan_restore.inference.restorer import Restorer
from gan_restore.photos import Photo, PhotoWarning, read_photo, write_photo

_IN_FLOAT = 2**22  # pixels of a restored photo up to which it is computed in float32 throughout


def restore_photo(
    photo: Photo,
    *restorers: Restorer,
    guarded: bool = True,
    mask: Tensor | None = None,
    progress: Callable[[float], None] = lambda part: None,
) -> Photo:
    """Restore a photo by one restorer after another.

    Transparency, gray mode, bit depth and metadata are kept; super-resolution enlarges the photo. Small photos are
    computed in float32 throughout; of large ones, all that is kept between the steps has the type of their pixels.

    A `PhotoWarning` says if brightness or colour of large areas changed, or if a model changed the photo far more
    than its test images (`guard.guard`).

    Args:
        photo: the photo.
        restorers: applied from left to right.
        guarded: keep the brightness and colour that the input has in large areas, where they changed visibly.
        mask: 1 x 1 x H x W, bool, the only pixels that may change (`read_mask`); for restorers that keep the size.
        progress: called with the part of the work that is done, from 0 to 1. It can raise an error to stop.

    Raises:
        UserError: if the mask has another size than the photo, or a restorer enlarges.
    """
    if mask is not None:  # all at once, before the work begins
        for restorer in restorers:
            restorer.check_mask(photo.pixels, mask)
    for place, restorer in enumerate(restorers):
        height, width = photo.pixels.shape[-2:]
        small = restorer.factor**2 * height * width <= _IN_FLOAT
        degraded = to_unit(photo.pixels) if small else photo.pixels
        restored = restorer.restore(degraded, _within(progress, place, len(restorers)))
        for message in guard(degraded, restored, restorer.usual_change, keep=guarded):
            warnings.warn(message, PhotoWarning, stacklevel=2)
        restorer.finish(degraded, restored, mask)
        pixels = write_unit(restored, torch.empty(restored.shape, dtype=photo.pixels.dtype)) if small else restored
        alpha = photo.alpha_pixels
        if alpha is not None and restorer.factor > 1:
            alpha = enlarged(alpha, restorer.factor)
        photo = dataclasses.replace(photo, pixels=pixels, alpha_pixels=alpha)
    return photo


def _within(progress: Callable[[float], None], place: int, count: int) -> Callable[[float], None]:
    """The progress of one restorer as a part of that of all."""
    return lambda part: progress((place + part) / count)


def restore_file(source: str | Path, target: str | Path, *restorers: Restorer, **options: Any) -> None:
    """Restore one image file into another.

    Args:
        source: the photo.
        target: the file to write.
        restorers: applied from left to right.
        options: `guarded`, `mask` and `progress` of `restore_photo`.

    Raises:
        UserError: if the source cannot be read, the target cannot be written, or the mask does not fit.
    """
    write_photo(target, restore_photo(read_photo(source), *restorers, **options))


def read_mask(path: str | Path | MemoryFile, formats: tuple[str, ...] | None = None) -> Tensor:
    """Read a mask from an image file: painted pixels are white, the others black.

    Args:
        path: the file.
        formats: the only formats to try, in Pillow's names; None for all that Pillow reads.

    Returns:
        1 x 1 x H x W, bool: whether a pixel is lighter than medium gray.

    Raises:
        UserError: if the file cannot be read.
    """
    return to_tensor(decode(path, formats)).mean(1, keepdim=True) > 0.5
