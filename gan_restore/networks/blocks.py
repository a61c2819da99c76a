"""Building blocks of the networks: normalisation, upsampling, residual blocks, initialisation, output."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]
"""Normalisation after a convolution: BatchNorm, InstanceNorm or none."""

Upsampling = Literal["transposed", "resize", "shuffle"]
"""How height and width are doubled: see `upsampling`."""

RESIDUAL_SCALE = 0.1
"""Factor of a predicted correction. Corrections are small beside images; unscaled, the first steps of Adam would
move the output far away from the initial estimate."""


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples of `multiple`.

    Example:
        >>> pad_to_multiple(torch.rand(1, 3, 37, 31), 8).shape
        torch.Size([1, 3, 40, 32])
    """
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def normalisation(kind: Norm, channels: int) -> list[nn.Module]:
    """A list of one normalisation layer, or an empty list for "none".

    "batch" is BatchNorm (Ioffe and Szegedy 2015). "instance" is InstanceNorm (Ulyanov et al. 2016), which
    normalises every image by itself.

    Raises:
        ValueError: if `kind` is none of the three.
    """
    if kind == "none":
        return []
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    raise ValueError(f"kind must be 'batch', 'instance' or 'none', not {kind!r}")


def upsampling(
    kind: Upsampling, in_channels: int, out_channels: int, kernel: int = 3, bias: bool = True
) -> nn.Module:
    """A layer that doubles height and width: N x in_channels x H x W -> N x out_channels x 2H x 2W.

    Args:
        kind: "transposed" is a transposed convolution of stride 2. Its kernels overlap unevenly, which can leave a
            checkerboard pattern. "resize" repeats pixels and convolves, which cannot (Odena et al. 2016).
            "shuffle" convolves to four times the channels and moves them into space (Shi et al. 2016).
        kernel: side of the transposed convolution's kernel; the other kinds always use 3.
        bias: whether the convolution adds a bias.

    Raises:
        ValueError: if `kind` is none of the three.

    Example:
        >>> upsampling("shuffle", 8, 4)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 4, 10, 14])
    """
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, 1, output_padding=kernel % 2, bias=bias)
    if kind == "resize":
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        return nn.Sequential(nn.Upsample(scale_factor=2), convolution)
    if kind == "shuffle":
        convolution = nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=bias)
        return nn.Sequential(convolution, nn.PixelShuffle(2))
    raise ValueError(f"kind must be 'transposed', 'resize' or 'shuffle', not {kind!r}")


class RestoringNetwork(nn.Module):
    """Base class of the generators: how the values of the last layer become an image.

    Args:
        output_activation: maps these values to [0, 1], where the network predicts the image itself.
        residual: predict a correction instead. `RESIDUAL_SCALE` times these values is added to an initial
            estimate, such as the degraded image.

    Attributes:
        out: the last convolution. A subclass sets it at least with `residual`.
        multiple: the network enlarges its input to multiples of this many pixels. The same image, moved by another
            number of pixels, may give another result.
        float32_layout: the memory layout in which training on the CPU is the fastest in float32; in bfloat16 and on
            a GPU it is always channels_last.
        radius: the largest distance in pixels, along a row or column, at which the input can influence the output.
    """

    out: nn.Conv2d
    multiple: int = 1
    float32_layout: torch.memory_format = torch.channels_last
    radius: int

    def __init__(self, output_activation: Callable[[Tensor], Tensor], residual: bool) -> None:
        super().__init__()
        self.output_activation, self.residual = output_activation, residual

    def initialise(self, norm: Norm) -> None:
        """Set the initial weights; a subclass calls this once all its layers are made.

        Without normalisation the layers start from He initialisation. With normalisation PyTorch's default stays.
        """
        if norm == "none":
            self.apply(_keep_variance)
        self.zero_correction()

    def zero_correction(self) -> None:
        """With `residual`, set the last layer to zero: the untrained network returns the initial estimate."""
        if self.residual:
            nn.init.zeros_(self.out.weight)
            if self.out.bias is not None:
                nn.init.zeros_(self.out.bias)

    def to_image(self, raw: Tensor, initial_estimate: Tensor) -> Tensor:
        """Turn the values of the last layer into images, clipped to [0, 1] in eval mode only.

        Training needs the gradient of values beyond [0, 1], which clipping would stop.

        Args:
            raw: values of the last layer, N x 3 x H x W.
            initial_estimate: images N x 3 x H x W in [0, 1], used only with `residual`.
        """
        raw = raw.float()
        restored = initial_estimate + RESIDUAL_SCALE * raw if self.residual else self.output_activation(raw)
        return restored if self.training else restored.clamp(0, 1)


def tanh_range(raw: Tensor) -> Tensor:
    """Tanh, moved from [-1, 1] to [0, 1]: (tanh(raw) + 1) / 2, of the same shape."""
    return (torch.tanh(raw) + 1) / 2


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions with an activation between them (He et al. 2016); no activation after the sum."""

    def __init__(self, channels: int, norm: Norm, activation: Callable[[], nn.Module]) -> None:
        super().__init__()

        def convolution() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")

        self.layers = nn.Sequential(
            convolution(), *normalisation(norm, channels), activation(),
            convolution(), *normalisation(norm, channels),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """N x channels x H x W -> N x channels x H x W."""
        return features + self.layers(features)


def _keep_variance(module: nn.Module) -> None:
    """He initialisation: without normalisation, PyTorch's default shrinks the signal from layer to layer."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, a=0.1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock) and isinstance(module.layers[-1], nn.Conv2d):
        # `apply` visits a block after its convolutions. Small corrections keep a stack of blocks from amplifying.
        module.layers[-1].weight.data.mul_(0.1)


def initialise_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draw the weights of a network anew, in place, from the distributions that pix2pix and CycleGAN start from.

    Weights of convolutions and dense layers come from N(0, std^2) (Radford et al. 2016, section 4; Isola et al.
    2017, section 6.2), scales of BatchNorm from N(1, std^2), as in the authors' code; all biases are 0. A
    generator that predicts a correction keeps its last layer at zero. The draws come from PyTorch's global
    random generator.

    Example:
        >>> layer = nn.Conv2d(64, 64, 3)
        >>> initialise_normal(layer)
        >>> 0.019 < layer.weight.std() < 0.021
        tensor(True)
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if isinstance(network, RestoringNetwork):
        network.zero_correction()


def enlarge(images: Tensor, factor: int) -> Tensor:
    """Enlarge by bicubic interpolation: N x C x H x W -> N x C x factor H x factor W, float32.

    The kernel is Keys' with a = -0.5, that of Pillow and MATLAB. Values can leave [0, 1] a little near edges.
    """
    size = [side * factor for side in images.shape[-2:]]
    with torch.autocast(images.device.type, enabled=False):  # PyTorch has no such kernel for bfloat16 on the CPU
        return F.interpolate(images.float(), size=size, mode="bicubic", antialias=True)
