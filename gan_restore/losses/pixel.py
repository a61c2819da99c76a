"""Pixel losses: the distance between the restored and the clean image."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Pixel = Literal["mse", "l1"]
"""Mean squared error or mean absolute error: see `pixel_loss`."""


def pixel_loss(restored: Tensor, clean: Tensor, kind: Pixel = "mse") -> Tensor:
    """Distance of restored images from the clean ones, a mean over all values of a batch.

    With r a value of `restored` and c the value of `clean` at the same place, it is the mean of

    - "mse": `(r - c)^2`, the mean squared error;
    - "l1": `|r - c|`, the mean absolute error, which blurs less (Isola et al. 2017, section 3.1).

    Args:
        restored, clean: batches of the same shape, such as N x 3 x H x W in [0, 1].
        kind: which of the two.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if `kind` is neither.

    Example:
        >>> import torch
        >>> restored, clean = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
        >>> pixel_loss(restored, clean, "mse"), pixel_loss(restored, clean, "l1")
        (tensor(0.2500), tensor(0.5000))
    """
    if kind == "mse":
        return F.mse_loss(restored, clean)
    if kind == "l1":
        return F.l1_loss(restored, clean)
    raise ValueError(f"kind must be 'mse' or 'l1', not {kind!r}")
