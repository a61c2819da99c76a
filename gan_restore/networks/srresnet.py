"""The generator of `srgan`."""

import torch
from torch import Tensor, nn

from gan_restore.networks.blocks import (
    Norm,
    ResidualBlock,
    RestoringNetwork,
    Upsampling,
    enlarge,
    normalisation,
    tanh_range,
    upsampling,
)
from gan_restore.networks.layers import PaddedConv2d, PReLU


class SRResNet(RestoringNetwork):
    """The generator of SRGAN (Ledig et al. 2017, figure 4), for super-resolution by `factor`.

    9x9 convolution and PReLU; `blocks` residual blocks with BatchNorm and PReLU; 3x3 convolution, BatchNorm and
    the long skip connection; one upsampling and PReLU for each doubling; 9x9 convolution and Tanh. As published it
    has 1.5 M parameters at x4.

    Args:
        factor: of the enlargement, 2 or 4.
        width: channels (published: 64).
        blocks: residual blocks (published: 16).
        norm: "batch" (published). Later networks such as EDSR (Lim et al. 2017) are better with "none".
        upsample: "shuffle" (published), or another kind of `upsampling`.
        residual: predict the correction to the bicubic enlargement, as VDSR does (Kim et al. 2016).
        kernel: side of the first and the last convolution (published: 9).

    Example:
        >>> SRResNet(4, width=8, blocks=2)(torch.rand(1, 3, 10, 7)).shape
        torch.Size([1, 3, 40, 28])
    """

    def __init__(
        self,
        factor: int = 4,
        width: int = 64,
        blocks: int = 16,
        norm: Norm = "batch",
        upsample: Upsampling = "shuffle",
        residual: bool = False,
        kernel: int = 9,
    ) -> None:
        super().__init__(tanh_range, residual)
        self.factor = factor
        head = PaddedConv2d(3, width, kernel, padding=kernel // 2, padding_mode="replicate")
        self.head = nn.Sequential(head, PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(width, norm, PReLU) for _ in range(blocks)))
        last = nn.Conv2d(width, width, 3, padding=1, bias=norm == "none")
        self.body_end = nn.Sequential(last, *normalisation(norm, width))
        doublings = factor.bit_length() - 1
        ups = [(upsampling(upsample, width, width), PReLU()) for _ in range(doublings)]
        self.up = nn.Sequential(*(layer for pair in ups for layer in pair))
        self.out = PaddedConv2d(width, 3, kernel, padding=kernel // 2, padding_mode="replicate")
        # The upsampling layers see one pixel more each, and the last convolution works on the enlarged image.
        self.radius = kernel // 2 + 2 * blocks + 1 + doublings + -(-(kernel // 2) // factor)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 3 x factor H x factor W, in [0, 1] in eval mode."""
        features = self.head(degraded.contiguous(memory_format=torch.channels_last))
        features = features + self.body_end(self.blocks(features))
        initial_estimate = enlarge(degraded, self.factor) if self.residual else degraded
        return self.to_image(self.out(self.up(features)), initial_estimate)
