"""Pixel losses: the distance between the restored and the clean image."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Pixel = Literal["mse", "l1"]


def pixel_loss(restored: Tensor, clean: Tensor, kind: Pixel = "mse") -> Tensor:
    """Mean squared ("mse") or mean absolute ("l1") difference over all values."""
    return F.mse_loss(restored, clean) if kind == "mse" else F.l1_loss(restored, clean)
