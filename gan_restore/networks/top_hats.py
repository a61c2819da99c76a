"""Top-hat transforms: how much a pixel stands out as part of something thin, in batches on any device."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def top_hats(images: Tensor, radius: int = 4, footprint: Literal["square", "disk"] = "square") -> Tensor:
    """White and black top-hat of the brightness: N x 3 x H x W in [0, 1] -> N x 2 x H x W in [0, 1].

    The white top-hat is the brightness minus its opening, the black one its closing minus the brightness (Serra
    1982). A value is large where a pixel is part of a light (first channel) or dark (second channel) structure that
    is too thin for the footprint: scratches and dust, but also hairs. Brightness is the mean of the channels.

    Args:
        images: RGB images.
        radius: of the footprint in pixels; it is 2 radius + 1 pixels wide.
        footprint: "square", the fastest, or "disk", which treats all directions alike.

    Raises:
        ValueError: if `footprint` is neither.

    Example:
        >>> images = torch.full((1, 3, 20, 20), 0.25)
        >>> images[..., 10, :] = 1  # a light scratch
        >>> top_hats(images)[0, :, 9:12, 5]
        tensor([[0.0000, 0.7500, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    if footprint == "square":
        rectangles = [(radius, radius)]
    elif footprint == "disk":  # a union of centred rectangles: its dilation is the maximum of theirs
        rectangles = [(y, math.isqrt(radius**2 - y**2)) for y in range(radius + 1)]
    else:
        raise ValueError(f"footprint must be 'square' or 'disk', not {footprint!r}")
    brightness = images.mean(1, keepdim=True)
    opened = _dilate(-_dilate(-brightness, rectangles), rectangles)
    closed = -_dilate(-_dilate(brightness, rectangles), rectangles)
    return torch.cat([brightness - opened, closed - brightness], dim=1).clamp(0, 1)


def _dilate(values: Tensor, rectangles: list[tuple[int, int]]) -> Tensor:
    """The maximum over rectangles of 2y + 1 x 2x + 1 pixels around each pixel, of the shape of `values`."""
    dilated = []
    for y, x in rectangles:
        padded = F.pad(values, (x, x, y, y), value=-math.inf)
        dilated.append(_sliding_maximum(_sliding_maximum(padded, 2 * y + 1, -2), 2 * x + 1, -1))
    return torch.stack(dilated).amax(0)


def _sliding_maximum(values: Tensor, length: int, dim: int) -> Tensor:
    """The maximum of each `length` successive values. On the CPU, max_pool2d takes longer."""
    reached = 1
    while reached < length:
        step = min(reached, length - reached)
        count = values.shape[dim] - step
        values = torch.maximum(values.narrow(dim, 0, count), values.narrow(dim, step, count))
        reached += step
    return values
