"""Large images in horizontal strips, for functions that need much memory for each pixel."""

from collections.abc import Callable

import torch
from torch import Tensor

WHOLE_PIXELS = 2**20
"""Batches of up to this many pixels are not divided."""

STRIP_PIXELS = 2**18
"""Pixels of a strip, without its halo."""


def in_strips(function: Callable[..., Tensor], *images: Tensor, halo: int, multiple: int = 1) -> Tensor:
    """Apply a function to large images strip by strip, which limits its memory.

    Args:
        function: takes as many batches as there are `images` and returns N x C' x H x W for N x C x H x W.
        images: batches N x C x H x W of the same N, H and W.
        halo: number of rows above and below a pixel that its result depends on, rounded up to a multiple of
            `multiple`. Strips overlap by them, and only results that no cut influences are used.
        multiple: strips start at multiples of this row, for functions that work on a grid.

    Returns:
        N x C' x H x W: what the function returns for the whole images, within floating-point rounding.

    Raises:
        ValueError: if `halo` is no multiple of `multiple`.

    Example:
        >>> in_strips(torch.sub, torch.ones(1, 3, 5, 7), torch.ones(1, 3, 5, 7), halo=0).sum()
        tensor(0.)
    """
    if halo % multiple:
        raise ValueError(f"halo must be a multiple of {multiple}, not {halo}")
    count, _, height, width = images[0].shape
    if count * height * width <= WHOLE_PIXELS:
        return function(*images)
    strips = []
    for rows in row_strips(height, count * width, multiple):
        start = max(0, rows.start - halo)
        strip = function(*(image[..., start : rows.stop + halo, :] for image in images))
        strips.append(strip[..., rows.start - start : rows.stop - start, :])
    return torch.cat(strips, dim=2)


def row_strips(height: int, width: int, multiple: int = 1) -> list[slice]:
    """The rows of an image in strips of about `STRIP_PIXELS` pixels.

    Args:
        height: rows of the image.
        width: pixels of a row.
        multiple: strips start at multiples of this row.

    Example:
        >>> row_strips(300, 2000)
        [slice(0, 131, None), slice(131, 262, None), slice(262, 300, None)]
    """
    rows = max(1, STRIP_PIXELS // (width * multiple)) * multiple
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
