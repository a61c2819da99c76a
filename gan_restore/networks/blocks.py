"""Building blocks of the generators: normalisation, upsampling, residual blocks, and the output of a network."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]


Upsampling = Literal["transposed", "resize", "shuffle"]


RESIDUAL_SCALE = 0.1
"""Corrections are small beside images; scaled so, the first steps of Adam do not throw the first answer away."""


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def normalisation(kind: Norm, channels: int) -> list[nn.Module]:
    """The layer as a list of one, or an empty list for "none"; instance norm does not mix images of a batch."""
    if kind == "none":
        return []
    return [nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels, affine=True)]


def upsampling(kind: Upsampling, inside: int, outside: int, kernel: int = 3, bias: bool = True) -> nn.Module:
    """N x inside x H x W -> N x outside x 2H x 2W.

    "transposed" is a transposed convolution of stride 2, whose uneven overlap can leave a checkerboard;
    "resize" repeats pixels and convolves, which cannot (Odena et al. 2016); "shuffle" convolves to four times
    the channels and moves them into space (Shi et al. 2016).
    """
    if kind == "transposed":
        pad = {"padding": 1, "output_padding": kernel % 2}
        return nn.ConvTranspose2d(inside, outside, kernel, stride=2, bias=bias, **pad)
    if kind == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, padding=1, bias=bias))
    return nn.Sequential(nn.Conv2d(inside, 4 * outside, 3, padding=1, bias=bias), nn.PixelShuffle(2))


class RestoringNetwork(nn.Module):
    """What all generators share: how raw values become an image.

    Args:
        output_activation: turns raw values into [0, 1] where the network invents the image.
        residual: add the raw values, scaled, to a first answer instead.
    """

    def __init__(self, output_activation: Callable[[Tensor], Tensor], residual: bool) -> None:
        super().__init__()
        self.output_activation, self.residual = output_activation, residual

    def initialise(self, norm: Norm, out: nn.Module | None) -> None:
        """Keep the signal's variance where no norm does; with `residual` the last layer starts at zero."""
        if norm == "none":
            self.apply(_keep_variance)
        if self.residual:
            nn.init.zeros_(out.weight)
            nn.init.zeros_(out.bias)

    def to_image(self, raw: Tensor, first: Tensor) -> Tensor:
        raw = raw.float()
        restored = first + RESIDUAL_SCALE * raw if self.residual else self.output_activation(raw)
        return restored if self.training else restored.clamp(0, 1)


def tanh_range(raw: Tensor) -> Tensor:
    """Tanh's [-1, 1] as [0, 1]."""
    return (torch.tanh(raw) + 1) / 2


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions with an activation between them (He et al. 2016); nothing after the sum."""

    def __init__(self, channels: int, norm: Norm, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        convolution = lambda: nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")  # noqa: E731
        self.layers = nn.Sequential(
            convolution(), *normalisation(norm, channels), activation(),
            convolution(), *normalisation(norm, channels),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _keep_variance(module: nn.Module) -> None:
    """He initialisation: without normalisation PyTorch's default would shrink the signal layer by layer."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, a=0.1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock):  # visited after its convolutions: a stack of blocks must not amplify
        module.layers[-1].weight.data.mul_(0.1)


def enlarge(images: Tensor, factor: int) -> Tensor:
    """Bicubic enlargement by a whole factor, with Pillow's and MATLAB's kernel (a = -0.5)."""
    size = [side * factor for side in images.shape[-2:]]
    with torch.autocast(images.device.type, enabled=False):  # there is no such kernel for bfloat16 on the CPU
        return F.interpolate(images.float(), size=size, mode="bicubic", antialias=True)
