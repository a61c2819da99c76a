"""Restoration over scales, for damage whose size grows with the resolution of the scan."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

_SHARP = 0.02, 0.06  # size of the sharp part of a change from which on pixels begin to be, and are, replaced
_SPREAD = 8  # pixels over which a change is averaged to find its smooth part


def restore_over_scales(restore: Callable[[Tensor], Tensor], degraded: Tensor, side: int) -> Tensor:
    """Restore a large image at several resolutions, from coarse to fine.

    A network that was trained on scratches of 1 to 5 pixels does not find one of 40 pixels. In a copy of an eighth
    of the size, that scratch has 5. So the image is halved until its longer side has at most `side` pixels, and
    restored there. Each larger size first takes over what was changed at the smaller one, and is then restored
    itself, for the finer damage and the borders.

    What is taken over has two parts. Where the change is sharp, as at a scratch, the pixels are replaced. Where it
    is smooth, as in a faded area, the change is added, so that the image keeps its fine detail.

    Args:
        restore: N x 3 x H x W in [0, 1] -> the same shape.
        degraded: N x 3 x H x W in [0, 1].
        side: the longer side in pixels up to which one resolution suffices.

    Returns:
        The restored batch, of the same shape.
    """
    height, width = degraded.shape[-2:]
    if max(height, width) <= side:
        return restore(degraded)
    half = [max(1, round(height / 2)), max(1, round(width / 2))]
    small = F.interpolate(degraded, size=half, mode="bilinear", antialias=True)
    return restore(_take_over(degraded, small, restore_over_scales(restore, small, side)))


def _take_over(degraded: Tensor, small: Tensor, repaired: Tensor) -> Tensor:
    """Apply the change from `small` to `repaired` to the larger image, N x 3 x H x W."""
    change = repaired - small
    smooth = _mean(change)
    low, high = _SHARP
    sharp = (((change - smooth).abs().amax(1, keepdim=True) - low) / (high - low)).clamp(0, 1)
    # One pixel more on each side: half of its area in the larger image may still be damaged.
    replaced = F.max_pool2d(sharp, 3, stride=1, padding=1)
    smooth = _mean(change * (1 - replaced)) / _mean(1 - replaced).clamp_min(0.05)
    smooth, replaced, repaired = (
        F.interpolate(layer, size=degraded.shape[-2:], mode="bilinear") for layer in (smooth, replaced, repaired)
    )
    return (degraded + smooth).lerp(repaired, replaced).clamp(0, 1)


def _mean(images: Tensor) -> Tensor:
    """The mean over squares of 2 `_SPREAD` + 1 pixels around each pixel, of the same shape."""
    return F.avg_pool2d(images, 2 * _SPREAD + 1, stride=1, padding=_SPREAD, count_include_pad=False)
