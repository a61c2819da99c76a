"""The first layers of EfficientNet-lite0, a small classifier, whose features tell how alike two images look."""

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

_STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5))
"""Expansion, channels, blocks, stride of the first block and kernel of each stage (Tan and Le 2019, table 1)."""


class EfficientNetLite0Features(nn.Module):
    """The first six of the eight stages of EfficientNet-lite0, without weights; see `losses.EfficientNetDistance`.

    A 3x3 convolution of stride 2, then stages of inverted residual blocks (Sandler et al. 2018). EfficientNet-lite
    is EfficientNet (Tan and Le 2019) with ReLU6 and without squeeze-and-excitation.

    Example:
        >>> import torch
        >>> [tuple(part.shape[1:]) for part in EfficientNetLite0Features()(torch.rand(1, 3, 64, 64))]
        [(32, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4)]
    """

    RETURNED = (0, 2, 3, 5)
    """The stages whose features are returned, one of each resolution from 1/2 to 1/16."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([_convolution(3, 32, 3, stride=2)])
        inside = 32
        for expansion, channels, blocks, stride, kernel in _STAGES:
            stage = [_InvertedResidual(inside, channels, expansion, stride, kernel)]
            stage += [_InvertedResidual(channels, channels, expansion, 1, kernel) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            inside = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """N x 3 x H x W in [0, 1] -> N x C x H/s x W/s for C, s = 32, 2; 24, 4; 40, 8; 112, 16, rounded up."""
        found, features = [], (255 * images - 127) / 128  # the range that the network was trained on
        for number, stage in enumerate(self.stages):
            features = stage(features)
            if number in self.RETURNED:
                found.append(features)
        return found


class _InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise convolution, 1x1 convolution to `outside` channels.

    The input is added where it has the shape of the output.
    """

    def __init__(self, inside: int, outside: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        hidden = inside * expansion
        self.layers = nn.Sequential(
            *([_convolution(inside, hidden)] if expansion > 1 else []),
            _convolution(hidden, hidden, kernel, stride, groups=hidden),
            _convolution(hidden, outside, activation=None),
        )
        self.adds = stride == 1 and inside == outside

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features) if self.adds else self.layers(features)


def _convolution(
    inside: int,
    outside: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU6,
) -> nn.Module:
    """Convolution and BatchNorm, with TensorFlow's epsilon, and the activation."""

    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, eps=1e-3)

    return Conv2dNormActivation(
        inside, outside, kernel, stride, groups=groups, norm_layer=norm, activation_layer=activation
    )
