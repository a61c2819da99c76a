"""Gray photos stay gray, and sepia photos sepia."""

import torch
from torch import Tensor

from gan_restore.images import to_unit

_BINS = 32  # of brightness, for which the tone of a print is measured
_SPREAD = 9 / 255  # how far nine tenths of the pixels of a toned print may be from its tone
_CHANGED = 8 / 255  # change of a pixel from which on it gets the tone of the print in full
_PIXELS = 512  # along the longer side: every so many pixels are enough to measure the tone


def tone_of(image: Tensor) -> Tensor | None:
    """Measure the tone of a photo: the median colour of its pixels at each of 32 levels of brightness.

    If nine tenths of all pixels have that colour, within 9/255 in each channel, the photo is toned. (Two scanned
    sepia portraits had 4/255 and 8/255. Of the 68 photos of CBSD68, four nearly gray ones have less than 9/255 too;
    the median is 20/255.)

    Args:
        image: 1 x 3 x H x W: float32 in [0, 1], uint8 or uint16.

    Returns:
        32 x 3, the differences of each channel from the luma; None for a photo in colour.
    """
    every = max(1, max(image.shape[-2:]) // _PIXELS)
    sample = to_unit(image[..., ::every, ::every])
    curve = _tone_curve(sample)
    spread = (_colour(sample) - _along(curve, sample)).abs().amax(1).flatten()
    return None if spread.kthvalue(max(1, int(0.9 * spread.numel()))).values > _SPREAD else curve


def give_tone(degraded: Tensor, restored: Tensor, tone: Tensor | None) -> Tensor:
    """Give repaired pixels of gray and toned photos the tone of the photo.

    In a gray, sepia or otherwise toned photo the colour of a pixel follows from its brightness. A network that
    repairs such a photo leaves scars of a slightly different colour. Here, pixels that were changed get the colour
    that the photo has at their brightness. Without a tone, all stay as they are.

    Args:
        degraded: the network's input, or a part of it, 1 x 3 x H x W in [0, 1].
        restored: its output, of the same shape.
        tone: what `tone_of` measured on the whole input.
    """
    if tone is None:
        return restored
    changed = ((restored - degraded).abs().amax(1, keepdim=True) / _CHANGED).clamp(0, 1)
    toned = _brightness(restored) + _along(tone, restored)
    return restored.lerp(toned, changed).clamp(0, 1)


def _tone_curve(image: Tensor) -> Tensor:
    """The median colour of the pixels of each brightness, `_BINS` x 3; without pixels, that of the one below."""
    bins = (_brightness(image) * _BINS).long().clamp(0, _BINS - 1).flatten()
    colours = _colour(image)[0].flatten(1).T
    curve = [colours[bins == i].median(0).values if (bins == i).any() else None for i in range(_BINS)]
    known = next(colour for colour in curve if colour is not None)
    filled = []
    for colour in curve:
        known = known if colour is None else colour
        filled.append(known)
    return torch.stack(filled)


def _along(curve: Tensor, image: Tensor) -> Tensor:
    """The colour of the curve at the brightness of each pixel, interpolated between bins, 1 x 3 x H x W."""
    place = (_brightness(image)[:, 0] * _BINS - 0.5).clamp(0, _BINS - 1)
    below = place.long()
    part = (place - below)[..., None]
    colours = curve[below] * (1 - part) + curve[(below + 1).clamp(max=_BINS - 1)] * part
    return colours.permute(0, 3, 1, 2)


def _brightness(image: Tensor) -> Tensor:
    """The luma, N x 1 x H x W."""
    return (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _colour(image: Tensor) -> Tensor:
    """The difference of each channel from the luma, N x 3 x H x W; 0 in a gray image."""
    return image - _brightness(image)
