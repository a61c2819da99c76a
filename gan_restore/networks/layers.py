"""PyTorch's layers, computed faster on the CPU: the same parameters and the same results, up to rounding.

On other devices and within `torch.compile` and `torch.export` they are PyTorch's own. Only dropout differs:
from the same seed it drops other values than PyTorch's. What they bring together is in benchmarks/README.md.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_WORDS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}
"""Integers of the same size."""


def pays(features: Tensor) -> bool:
    """Whether the faster way is taken."""
    return features.is_cpu and not torch.compiler.is_compiling()


class Dropout(nn.Dropout):
    """Dropout that draws 64 random bits at a time and takes 16 or 32 of them for each value.

    PyTorch draws a number for each value, which takes a seventh of a training step of a U-Net in bfloat16.

    Example:
        >>> Dropout(0.5)(torch.ones(8)).unique()
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Values of any shape -> the same shape; in training a share `p` of them is 0, the others grow."""
        drawn = self.training and 0 < self.p < 1 and not self.inplace
        if not (drawn and input.dtype in _WORDS and pays(input)):
            return super().forward(input)
        return input * _random_factors(input, self.p)


def _random_factors(like: Tensor, p: float) -> Tensor:
    """0 with probability `p`, otherwise 1 / (1 - p); of the shape and the memory layout of `like`."""
    word = _WORDS[like.dtype]
    kept = torch.tensor(1 / (1 - p), dtype=like.dtype).view(word).item()
    lowest = torch.iinfo(word).min
    bits = torch.empty(-(-like.numel() * like.element_size() // 8), dtype=torch.int64)
    words = bits.random_(torch.iinfo(torch.int64).min, None).view(word)
    # In place, and all in integers: a comparison gives 0 or 1, and the product has the bits of 0.0 or 1 / (1 - p).
    factors = words.ge_(lowest - round(p * 2 * lowest)).mul_(kept).view(like.dtype)
    return factors.as_strided(like.shape, torch.empty_like(like).stride())


class PReLU(nn.PReLU):
    """PReLU with one slope, whose gradient is a sum and no tensor of the size of the features.

    It has first derivatives only.

    Example:
        >>> PReLU()(torch.tensor([-1.0, 1.0])).tolist()
        [-0.25, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Values of any shape -> the same shape."""
        if self.num_parameters > 1 or not torch.is_grad_enabled() or not pays(input):
            return super().forward(input)
        return _OneSlope.apply(input, self.weight)


class _OneSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(features, slope)
        return F.leaky_relu(features, slope.item())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        features, slope = ctx.saved_tensors
        to_features = torch.ops.aten.leaky_relu_backward(gradient, features, slope.item(), False)
        to_slope = (gradient * features.clamp(max=0)).sum(dtype=slope.dtype)
        return to_features, to_slope.reshape(slope.shape)


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding stays in bfloat16: autocast would pad in float32, and copy twice."""

    def forward(self, input: Tensor) -> Tensor:
        """N x in_channels x H x W -> N x out_channels x H' x W'."""
        if self.padding_mode == "zeros" or not pays(input):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            padded = F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def float32_layout(width: int) -> torch.memory_format:
    """The memory layout in which a U-Net of this width trains faster in float32 on the CPU.

    Where there is AVX2 only, a step in channels_last took a tenth to a quarter longer with a width of 64, and less
    with 16. With AVX-512 it took less with both.
    """
    without_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if width >= 64 and without_avx512 else torch.channels_last


def in_layout_of(images: Tensor, network: nn.Module) -> Tensor:
    """The images in the memory layout of the first weights of a network, which all features then have, too."""
    last = next(network.parameters()).is_contiguous(memory_format=torch.channels_last)
    return images.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def concatenate(features: Tensor, skip: Tensor) -> Tensor:
    """Join the channels of two feature maps; the gradient of the first gets memory of its own.

    Otherwise it is a part of a larger tensor, and the gradient of a BatchNorm before takes several times as long.
    """
    if features.requires_grad and pays(features):
        features.register_hook(lambda gradient: gradient.clone(memory_format=torch.preserve_format))
    return torch.cat([features, skip], dim=1)
