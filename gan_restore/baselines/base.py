"""What the classical methods share."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

ImageFunction = Callable[[Tensor], Tensor]


def unchanged(degraded: Tensor) -> Tensor:
    """The degraded image itself: what every other row must beat."""
    return degraded


def image_by_image(restore: Callable[[np.ndarray], np.ndarray], degraded: Tensor) -> Tensor:
    """Apply a function of one H x W x 3 array to each image of a batch."""
    arrays = degraded.detach().cpu().permute(0, 2, 3, 1).numpy()
    restored = np.stack([restore(array) for array in arrays])
    return torch.from_numpy(restored).permute(0, 3, 1, 2).to(degraded).clamp(0, 1)
