"""Networks that tell a real image from a restored one. Each returns logits: no sigmoid, the loss has it."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class DenoisingDiscriminator(nn.Module):
    """The `unet-denoiser`'s discriminator: five 3x3 convolutions of stride 2 on (noisy, image) pairs.

    Channels width, 2, 4, 8 x width, 1 (64-128-256-512-1 as published); LeakyReLU 0.1, then BatchNorm, after
    all but the last, whose map of logits it returns.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [6, *(width * 2**level for level in range(4))]
        layers: list[nn.Module] = []
        for inside, outside in pairwise(channels):
            convolution = nn.Conv2d(inside, outside, 3, stride=2, padding=1)
            layers += [convolution, nn.LeakyReLU(0.1), nn.BatchNorm2d(outside)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 3, stride=2, padding=1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1] -> logits N x 1 x H/32 x W/32 (rounded up)."""
        return self.layers(torch.cat([degraded, image], dim=1))
