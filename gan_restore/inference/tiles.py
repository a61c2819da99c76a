"""Images of any size, restored tile by tile."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gan_restore.images import to_unit, write_unit

Window = tuple[slice, slice]
"""The rows and columns of a tile within its image."""

OVERLAP = 48
"""Pixels at each cut of a tile that are not used, if the network's own radius is not smaller."""

_FEATHER = 16  # pixels over which one tile fades into the next
_MANY = 12  # tiles from which on a progress bar is shown


@dataclass(frozen=True)
class Tiling:
    """How images are divided into tiles.

    Tiles overlap. At a cut through the image, the outermost `overlap` pixels of a tile are not used; next to them,
    the tile fades linearly into its neighbour. Where `overlap` is at least the `radius` of the network, the result
    is that for the whole image. A smaller overlap is enough in practice: most of what a network computes depends
    on pixels far closer than its radius (docs/restoring.md has measurements).

    Args:
        side: of a tile in pixels of the input, including its overlaps. It is raised to the least possible side.
        overlap: pixels at each cut that are not used.
        multiple: tiles start and are cut at multiples of this many pixels, as the network enlarges its input to
            them (`RestoringNetwork.multiple`).
        factor: side of the restored image over that of the input.
    """

    side: int
    overlap: int = OVERLAP
    multiple: int = 1
    factor: int = 1

    @property
    def shared(self) -> int:
        """Pixels that two neighbouring tiles have in common: both overlaps, the fading, up to a multiple."""
        pixels = 2 * self.overlap + _FEATHER
        return pixels + -pixels % self.multiple

    @property
    def least(self) -> int:
        """The least possible side: only two tiles share a pixel."""
        return 2 * self.shared + self.multiple

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Start and end of the tiles along a side of `length` pixels, all nearly equally long.

        Example:
            >>> Tiling(side=200, overlap=24).spans(500)
            [(0, 173), (109, 282), (218, 391), (327, 500)]
        """
        side, shared = max(self.side, self.least), self.shared
        if length <= side:
            return [(0, length)]
        count = -(-(length - shared) // (side - shared))
        step = -(-(length - shared) // count)
        step += -step % self.multiple
        return [(start, min(start + step + shared, length)) for start in range(0, length - shared, step)]

    def fading(self, span: tuple[int, int], length: int) -> Tensor:
        """The weight of each restored pixel of a tile along one side, `factor` x its length.

        The weights of the tiles that share a pixel sum to 1.
        """
        start, end = span
        used, shared = self.overlap * self.factor, self.shared * self.factor
        ramp = torch.linspace(0, 1, shared - 2 * used + 2)[1:-1]
        rising = torch.cat([torch.zeros(used), ramp, torch.ones(used)])
        weights = torch.ones((end - start) * self.factor)
        if start > 0:
            weights[:shared] = rising
        if end < length:
            weights[-shared:] = 1 - rising
        return weights


WHOLE = Tiling(side=2**30)
"""Images are not divided."""


def in_tiles(function: Callable[[Tensor, Window], Tensor], images: Tensor, tiling: Tiling) -> Tensor:
    """Apply a function to large images tile by tile.

    The images stay on their device, in their own type. Besides them and the result, only a tile is kept in memory,
    and what the next tiles share with those that are done. Images that fit into one tile are passed on as they are.

    Args:
        function: takes a tile N x C x h x w, float32 in [0, 1], and its window. It returns N x C x factor h x
            factor w on any device.
        images: N x C x H x W: float32 in [0, 1], uint8 or uint16.
        tiling: the tiles.

    Returns:
        N x C x factor H x factor W, of the type of `images`.

    Example:
        >>> images = torch.rand(1, 3, 90, 300)
        >>> restored = in_tiles(lambda tile, window: 1 - tile, images, Tiling(side=100, overlap=4))
        >>> torch.allclose(restored, 1 - images)
        True
    """
    count, channels, height, width = images.shape
    factor, rows, columns = tiling.factor, tiling.spans(height), tiling.spans(width)
    if len(rows) == len(columns) == 1:
        whole = function(to_unit(images), (slice(0, height), slice(0, width))).to(images.device)
        if images.is_floating_point():
            return whole.to(images.dtype)
        return write_unit(whole, torch.empty(whole.shape, dtype=images.dtype, device=images.device))
    shape = count, channels, factor * height, factor * width
    # Colours of a pixel side by side, as image files have them.
    restored = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    shared = factor * tiling.shared
    # What the next row of tiles shares with this one is kept in float32; all else has the type of the images.
    below = torch.empty(count, channels, shared, shape[3], device=images.device)
    many = len(rows) * len(columns)
    with tqdm(total=many, unit="tile", leave=False, disable=many < _MANY) as progress:
        for (top, bottom), lower in _with_next(rows):
            beside = torch.empty(count, channels, factor * (bottom - top), shared, device=images.device)
            down = tiling.fading((top, bottom), height).to(images.device)[:, None]
            for (left, right), following in _with_next(columns):
                window = slice(top, bottom), slice(left, right)
                across = tiling.fading((left, right), width).to(images.device)
                tile = function(to_unit(images[..., window[0], window[1]]), window).to(images.device)
                tile = tile * (down * across)
                if left > 0:
                    tile[..., :shared] += beside
                if right < width:
                    beside.copy_(tile[..., -shared:])
                place = slice(factor * left, factor * following)
                tile = tile[..., : factor * (following - left)]
                if top > 0:
                    tile[..., :shared, :] += below[..., place]
                if bottom < height:
                    below[..., place] = tile[..., -shared:, :]
                done = restored[..., factor * top : factor * lower, place]
                write_unit(tile[..., : factor * (lower - top), :], done)
                progress.update()
    return restored


def _with_next(spans: list[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    """Each tile along a side, and where the next one starts; for the last tile, its own end."""
    return list(zip(spans, [*(start for start, _ in spans[1:]), spans[-1][1]], strict=True))
