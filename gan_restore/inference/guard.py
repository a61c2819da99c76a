"""Restored photos are compared with their input, so that none gets worse in silence."""

import math

import torch
from torch import Tensor

from gan_restore.images import to_unit, write_unit
from gan_restore.inference.places import Places
from gan_restore.strips import row_strips

_PIXELS = 512  # along the longer side: every so many pixels are enough to compare
_AREAS = 8  # along each side of the photo, in which changes are measured
_LEAST = 16  # side of an area in pixels; the median of fewer pixels follows their noise
_LARGE = 6 / 255  # change over a large area from which on it is undone; repaired prints had at most 3.5 / 255
_UNUSUAL = 2  # times the usual change, from which on a result is called unusual


def guard(degraded: Tensor, restored: Tensor, usual: float | None = None, keep: bool = True) -> list[str]:
    """Compare a restored photo with its input, and keep the input's brightness and colour in large areas.

    The photo is divided into 8 x 8 areas. The change of an area is the median over its pixels, so repaired damage
    that covers less than half of it does not count. If an area changed by more than 6/255, these changes, smoothly
    interpolated, are subtracted from the restored photo.

    Args:
        degraded: 1 x C x H x W: float32 in [0, 1], uint8 or uint16.
        restored: 1 x C x factor H x factor W, of the same type; it is corrected in place.
        usual: the root mean square of what the model changed on its test images, in [0, 1].
        keep: correct the restored photo; without this, it is only compared.

    Returns:
        What the owner of the photo should know, a sentence each; nothing if all is as usual.
    """
    before, after = _samples(degraded, restored)
    told = []
    changes = _medians(after - before)
    largest = float(changes.abs().max())
    if largest > _LARGE:
        done = "the input's were kept" if keep else "compare it with the input"
        told.append(f"brightness or colour of large areas changed by up to {255 * largest:.0f} of 255; {done}")
    changed = float((after - before).square().mean().sqrt())
    if usual and changed > _UNUSUAL * usual:
        ratio = changed / usual
        told.append(
            f"it changed {ratio:.0f} times as much as the model's test images did; compare it with the input"
        )
    if largest > _LARGE and keep:
        _subtract(restored, changes)
    return told


def _samples(degraded: Tensor, restored: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels on a grid of both photos, 1 x C x h x w; of an enlargement, the mean over each input pixel."""
    factor = restored.shape[-1] // degraded.shape[-1]
    every = max(1, math.ceil(max(degraded.shape[-2:]) / _PIXELS))
    before = to_unit(degraded[..., ::every, ::every])
    parts = [
        to_unit(restored[..., y :: every * factor, x :: every * factor])
        for y in range(factor)
        for x in range(factor)
    ]
    return before, torch.stack(parts).mean(0)


def _medians(change: Tensor) -> Tensor:
    """The median of each channel in each of at most 8 x 8 areas, 1 x C x areas x areas."""
    rows, columns = (min(_AREAS, max(1, side // _LEAST)) for side in change.shape[-2:])
    bands = change.tensor_split(rows, dim=2)
    medians = [part.flatten(2).median(2).values for band in bands for part in band.tensor_split(columns, dim=3)]
    return torch.stack(medians, dim=2).unflatten(2, (rows, columns))


def _subtract(images: Tensor, coarse: Tensor) -> None:
    """Subtract a coarse image, interpolated to the size of the images, from them in place, a few rows at a time."""
    height, width = images.shape[-2:]
    columns = Places(slice(0, width), width, coarse.shape[-1])
    wide = columns.interpolate(coarse, 3)
    for part in row_strips(height, width):
        rows = Places(part, height, coarse.shape[-2])
        smooth = rows.interpolate(wide[..., rows.around, :], 2)
        write_unit((to_unit(images[..., part, :]) - smooth).clamp(0, 1), images[..., part, :])
