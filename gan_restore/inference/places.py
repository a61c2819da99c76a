"""A tile of an image, and the part of a smaller copy of the image that it is interpolated from."""

import torch
from torch import Tensor


class Places:
    """Where the pixels of a tile lie in a smaller image, along one side.

    Interpolation for the tile alone gives what `torch.nn.functional.interpolate` gives for the whole image.

    Args:
        tile: the pixels of the tile.
        length: number of pixels of the image along this side.
        small: number of pixels of the smaller image.
        margin: pixels of the smaller image to cut out on each side of those that the tile lies on.

    Attributes:
        around: the pixels of the smaller image to cut out.

    Example:
        >>> places = Places(slice(4, 8), length=8, small=4)
        >>> small = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 1, 4)
        >>> places.interpolate(small[..., places.around], 3)
        tensor([[[[1.7500, 2.2500, 2.7500, 3.0000]]]])
    """

    def __init__(self, tile: slice, length: int, small: int, margin: int = 0) -> None:
        places = (torch.arange(tile.start, tile.stop, dtype=torch.float64) + 0.5) * (small / length) - 0.5
        places = places.clamp_min(0)
        first = max(0, int(places[0]) - margin)
        self.around = slice(first, min(small, int(places[-1]) + 2 + margin))
        self._below = places.long() - first
        self._above = (self._below + 1).clamp_max(self.around.stop - first - 1)
        self._part = (places - places.floor()).float()

    def interpolate(self, images: Tensor, dim: int) -> Tensor:
        """Linear interpolation of the images cut out at `around`, N x C x h x w, along dimension 2 or 3."""
        device = images.device
        below, above = (images.index_select(dim, index.to(device)) for index in (self._below, self._above))
        part = self._part.to(device)
        return below.lerp(above, part[:, None] if dim == 2 else part)
