"""Discriminators. Each returns logits, without a sigmoid: the loss functions apply it."""

from collections.abc import Sequence
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


class PatchGAN(nn.Module):
    """pix2pix's discriminator (Isola et al. 2017): one logit for each patch of a (damaged, image) pair.

    4x4 convolutions with reflection padding, width, 2, 4, 8 x width channels (64-128-256-512 as published),
    `layers` of stride 2, the last two layers of stride 1; LeakyReLU 0.2; BatchNorm in all but the first and the
    last. With 3 layers of stride 2 a logit sees 70 x 70 pixels; 2.77 M parameters as published.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        channels = [6, *(width * min(8, 2**level) for level in range(layers + 1))]
        stack: list[nn.Module] = []
        for number, (inside, outside) in enumerate(pairwise(channels)):
            norm = [nn.BatchNorm2d(outside)] if number else []
            stride = 2 if number < layers else 1
            convolution = nn.Conv2d(inside, outside, 4, stride, 1, padding_mode="reflect", bias=not norm)
            stack += [convolution, *norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*stack, nn.Conv2d(channels[-1], 1, 4, 1, 1, padding_mode="reflect"))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1], sides of at least 24 -> logits N x 1 x h x w (256 -> 30)."""
        return self.layers(2 * torch.cat([degraded, image], dim=1) - 1)


class Classifier(nn.Module):
    """Convolutions that shrink the image, then dense layers: one logit for each image.

    Convolution, BatchNorm (not after the first), LeakyReLU 0.2; the mean over a grid of cells, so that any size
    will do; dense layers with LeakyReLU 0.2 between them.

    Args:
        convolutions: (channels, stride) of each.
        kernel: side of their kernels.
        conditioned: also see the degraded image beside the one to judge.
        grid: cells a side that are kept apart before the dense layers; 1 is the global mean.
        dense: widths of the dense layers before the logit.

    Example:
        >>> SRGAN = [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]
        >>> Classifier(SRGAN, dense=[1024])  # Ledig et al. 2017, figure 4
    """

    def __init__(
        self,
        convolutions: Sequence[tuple[int, int]],
        kernel: int = 3,
        conditioned: bool = False,
        grid: int = 1,
        dense: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.conditioned = conditioned
        layers: list[nn.Module] = []
        inside = 6 if conditioned else 3
        for number, (outside, stride) in enumerate(convolutions):
            norm = [nn.BatchNorm2d(outside)] if number else []
            padding = (kernel - 1) // 2
            layers += [nn.Conv2d(inside, outside, kernel, stride, padding, bias=not norm), *norm, nn.LeakyReLU(0.2)]
            inside = outside
        widths = [inside * grid**2, *dense]
        layers += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Batches N x 3 x H x W in [0, 1] -> logits N x 1; `degraded` is looked at only if conditioned."""
        seen = torch.cat([degraded, image], dim=1) if self.conditioned else image
        return self.layers(2 * seen - 1)
