"""What happens to a restored image after the network: its tone, its strength, the pixels that are preserved."""

import torch
from torch import Tensor

from gan_restore.images import to_unit, write_unit
from gan_restore.inference.tones import give_tone, tone_of
from gan_restore.networks.blocks import enlarge
from gan_restore.strips import row_strips

_REACH = 3  # rows around a pixel that its bicubic enlargement depends on


def finish(
    degraded: Tensor,
    restored: Tensor,
    *,
    keep_tone: bool = False,
    strength: float = 1.0,
    preserve: float = 0.0,
    mask: Tensor | None = None,
) -> None:
    """Finish restored images in place, a few rows at a time.

    Args:
        degraded: N x C x H x W, with C of 1 or 3: float32 in [0, 1], uint8 or uint16.
        restored: N x C x factor H x factor W, of the same type; the result is written here.
        keep_tone: give changed pixels of toned photos the tone of the photo (`give_tone`); with a factor of 1.
        strength: 1 leaves the restored images as they are, 0 gives the degraded ones, enlarged bicubically.
        preserve: pixels whose channels all changed by less than this, in [0, 1], get their degraded values back
            exactly; with a factor of 1.
        mask: 1 x 1 x H x W, bool: the only pixels that may change; with a factor of 1.
    """
    if strength == 1 and not preserve and not keep_tone and mask is None:
        return
    height, width = degraded.shape[-2:]
    factor = restored.shape[-1] // width
    for before, after in zip(degraded.split(1), restored.split(1), strict=True):
        tone = tone_of(before) if keep_tone and before.shape[1] == 3 else None
        for rows in row_strips(height, width):
            part = after[..., factor * rows.start : factor * rows.stop, :]
            result = to_unit(part)
            given = to_unit(before[..., rows, :]) if factor == 1 else _enlarged(before, rows, factor)
            result = give_tone(given, result, tone)
            if strength != 1:
                result = given.lerp(result, strength)
            if preserve:
                result = torch.where((result - given).abs().amax(1, keepdim=True) < preserve, given, result)
            if mask is not None:
                result = torch.where(mask[..., rows, :], result, given)
            write_unit(result, part)


def _enlarged(images: Tensor, rows: slice, factor: int) -> Tensor:
    """Some rows of the images, enlarged bicubically as a part of the whole images."""
    top = max(0, rows.start - _REACH)
    around = enlarge(to_unit(images[..., top : rows.stop + _REACH, :]), factor).clamp(0, 1)
    return around[..., factor * (rows.start - top) : factor * (rows.stop - top), :]


def enlarged(images: Tensor, factor: int) -> Tensor:
    """Enlarge images bicubically, a few rows at a time: N x C x H x W -> N x C x factor H x factor W.

    Args:
        images: float32 in [0, 1], uint8 or uint16; the result has the same type.
        factor: of the enlargement.
    """
    count, channels, height, width = images.shape
    result = torch.empty(count, channels, factor * height, factor * width, dtype=images.dtype)
    for rows in row_strips(height, width):
        write_unit(_enlarged(images, rows, factor), result[..., factor * rows.start : factor * rows.stop, :])
    return result
