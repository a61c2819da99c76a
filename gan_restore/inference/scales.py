"""Restoration at other sizes than the photo's, for damage whose size grows with the resolution of the scan."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.images import to_unit, write_unit
from gan_restore.inference.places import Places
from gan_restore.inference.tiles import WHOLE, Tiling, Window, in_tiles

SMALLEST_SIDE = 64  # longer side in pixels from which on an image is restored at its own size
ENLARGED = 6  # times, to restore a smaller one; with 4, some white areas of FER2013 were still taken for damage
_SHARP = 0.02, 0.06  # size of the sharp part of a change from which on pixels begin to be, and are, replaced
_SPREAD = 8  # pixels over which a change is averaged to find its smooth part
_REACH = 2 * _SPREAD + 2  # pixels of the smaller image around a pixel that decide what it takes over
_AT_ONCE = 2**20  # pixels that are resized at once


def restore_over_scales(
    restore: Callable[[Tensor], Tensor], degraded: Tensor, side: int, tiling: Tiling = WHOLE
) -> Tensor:
    """Restore a large image at several resolutions, from coarse to fine.

    A network that was trained on scratches of 1 to 5 pixels does not find one of 40 pixels. In a copy of an eighth
    of the size, that scratch has 5. So the image is halved until its longer side has at most `side` pixels, and
    restored there. Each larger size first takes over what was changed at the smaller one, and is then restored
    itself, for the finer damage and the borders.

    What is taken over has two parts. Where the change is sharp, as at a scratch, the pixels are replaced. Where it
    is smooth, as in a faded area, the change is added, so that the image keeps its fine detail.

    Args:
        restore: N x 3 x H x W in [0, 1] -> the same shape.
        degraded: N x 3 x H x W: float32 in [0, 1], uint8 or uint16.
        side: the longer side in pixels up to which one resolution suffices.
        tiling: the tiles in which images are restored; by default they are restored whole.

    Returns:
        The restored batch, of the same shape and type. The smaller sizes are kept in this type too; with bytes,
        what is taken over is exact to 1/255.
    """
    height, width = degraded.shape[-2:]
    if max(height, width) <= side:
        return in_tiles(lambda tile, _: restore(tile), degraded, tiling)
    small = _resized(degraded, (max(1, round(height / 2)), max(1, round(width / 2))))
    repaired = restore_over_scales(restore, small, side, tiling)

    def from_coarse_to_fine(tile: Tensor, window: Window) -> Tensor:
        rows, columns = (
            Places(*part, margin=_REACH) for part in zip(window, (height, width), small.shape[-2:], strict=True)
        )
        around = ..., rows.around, columns.around
        return restore(_take_over(tile, to_unit(small[around]), to_unit(repaired[around]), rows, columns))

    return in_tiles(from_coarse_to_fine, degraded, tiling)


def restore_enlarged(restore: Callable[[Tensor], Tensor], degraded: Tensor) -> Tensor:
    """Restore a very small image at six times its size, and apply the change to the image itself.

    In an image of less than 64 pixels, scratches and lost corners look like its details: a network for old prints
    took white areas of small faces for damage. It hardly changes the enlarged image.

    Args:
        restore: N x 3 x H x W in [0, 1] -> the same shape.
        degraded: N x 3 x H x W: float32 in [0, 1], uint8 or uint16.

    Returns:
        The restored batch, of the same shape and type.
    """
    images = to_unit(degraded)
    large = F.interpolate(images, scale_factor=ENLARGED, mode="bicubic").clamp(0, 1)
    restored = torch.empty_like(degraded)
    change = restore(large).to(large.device) - large  # the photo may be elsewhere than the network
    write_unit((images + F.avg_pool2d(change, ENLARGED)).clamp(0, 1), restored)
    return restored


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly with antialiasing, a part of the image at a time; of the type of `images`."""
    for dim, length in ((3, size[1]), (2, size[0])):  # along one side, the lines of the other are independent
        shape, other = list(images.shape), 5 - dim
        shape[dim] = length
        resized = torch.empty(shape, dtype=images.dtype, device=images.device)
        parts = -(-images.shape[2] * images.shape[3] // _AT_ONCE)
        pairs = zip(images.tensor_split(parts, other), resized.tensor_split(parts, other), strict=True)
        for part, target in pairs:
            # PyTorch 2.15 resizes an image of one column wrongly, and one of two equal columns as it should.
            wide = to_unit(part).repeat(1, 1, 1, 2 if part.shape[3] == 1 else 1)
            size = target.shape[2], target.shape[3] * wide.shape[3] // part.shape[3]
            smaller = F.interpolate(wide, size=size, mode="bilinear", antialias=True)
            write_unit(smaller[..., : target.shape[3]], target)
        images = resized
    return images


def _take_over(degraded: Tensor, small: Tensor, repaired: Tensor, rows: Places, columns: Places) -> Tensor:
    """Apply the change from `small` to `repaired` to a tile of the larger image, N x 3 x h x w."""
    change = repaired - small
    smooth = _mean(change)
    low, high = _SHARP
    sharp = (((change - smooth).abs().amax(1, keepdim=True) - low) / (high - low)).clamp(0, 1)
    # One pixel more on each side: half of its area in the larger image may still be damaged.
    replaced = F.max_pool2d(sharp, 3, stride=1, padding=1)
    smooth = _mean(change * (1 - replaced)) / _mean(1 - replaced).clamp_min(0.05)
    channels = small.shape[1]
    layers = rows.interpolate(torch.cat([smooth, repaired, replaced], dim=1), dim=2)
    smooth, repaired, replaced = columns.interpolate(layers, dim=3).split((channels, channels, 1), dim=1)
    return (degraded + smooth).lerp(repaired, replaced).clamp(0, 1)


def _mean(images: Tensor) -> Tensor:
    """The mean over squares of 2 `_SPREAD` + 1 pixels around each pixel, of the same shape."""
    return F.avg_pool2d(images, 2 * _SPREAD + 1, stride=1, padding=_SPREAD, count_include_pad=False)
