"""What the classical methods share: the type of a restoration, and images as arrays."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Restoration = Callable[[Tensor], Tensor]
"""Anything callable `degraded -> restored` on a batch N x 3 x H x W in [0, 1], on the batch's device.

The result has the same shape, unless the method enlarges. Classical methods and trained networks share this type,
so that tables and figures treat them alike. Its counterpart is `Degradation`."""


def unchanged(degraded: Tensor) -> Tensor:
    """Return the degraded images as they are: the row of a table that every method should beat."""
    return degraded


def image_by_image(restore: Callable[[np.ndarray], np.ndarray], degraded: Tensor) -> Tensor:
    """Apply a function of one array H x W x C to each image of a batch, and clip the results to [0, 1].

    Args:
        restore: takes and returns one image; the result may have another size or number of channels.
        degraded: batch N x C x H x W on any device. `restore` runs on the CPU.

    Example:
        >>> image_by_image(np.flipud, torch.rand(2, 3, 5, 7)).shape
        torch.Size([2, 3, 5, 7])
    """
    arrays = degraded.detach().cpu().permute(0, 2, 3, 1).numpy()
    restored = np.stack([restore(array) for array in arrays])
    return torch.from_numpy(restored).permute(0, 3, 1, 2).to(degraded).clamp(0, 1)
