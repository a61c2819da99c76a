"""The residual encoder-decoder of `resnet-gan` and `face-cgan`."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_restore.networks.blocks import (
    Norm,
    ResidualBlock,
    RestoringNetwork,
    Upsampling,
    normalisation,
    pad_to_multiple,
    tanh_range,
    upsampling,
)


class ResidualEncoderDecoder(RestoringNetwork):
    """Features, strided convolutions, residual blocks, upsampling (Johnson et al. 2016, in CycleGAN's layout).

    7x7 convolution, `down` 3x3 convolutions of stride 2 that double the channels, `blocks` residual blocks of
    two 3x3 convolutions, `down` upsamplings, 7x7 convolution, Tanh; normalisation and ReLU after each but the
    last. With `blocks=0` and "resize" it is the plain face generator: features down, upsampling layers up.

    Args:
        width: channels of the first convolution (published layout: 64).
        down: halvings (2).
        blocks: residual blocks (9, for 256 x 256).
        norm, upsample, residual: as in `Pix2PixUNet`.
        kernel: of the first and last convolution (7).
        skips: add each scale's features before the halving to those after the upsampling (DRUNet, Zhang et al.
            2021), so that fine detail, and noise to subtract, need not pass the narrowest place.
    """

    def __init__(
        self,
        width: int = 64,
        down: int = 2,
        blocks: int = 9,
        norm: Norm = "batch",
        upsample: Upsampling = "transposed",
        residual: bool = False,
        kernel: int = 7,
        skips: bool = False,
    ) -> None:
        super().__init__(tanh_range, residual)
        self.multiple, self.skips = 2**down, skips
        channels = [width * 2**level for level in range(down + 1)]
        bias, edge = norm == "none", {"padding": kernel // 2, "padding_mode": "replicate"}
        stage = lambda layer, outside: nn.Sequential(layer, *normalisation(norm, outside), nn.ReLU())  # noqa: E731
        self.head = stage(nn.Conv2d(3, width, kernel, bias=bias, **edge), width)
        self.down = nn.ModuleList(stage(nn.Conv2d(a, b, 3, 2, 1, bias=bias), b) for a, b in pairwise(channels))
        self.blocks = nn.Sequential(*(ResidualBlock(channels[-1], norm, nn.ReLU) for _ in range(blocks)))
        ups = pairwise(channels[::-1])
        self.up = nn.ModuleList(stage(upsampling(upsample, a, b, 3, bias), b) for a, b in ups)
        self.out = nn.Conv2d(width, 3, kernel, **edge)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        height, width = degraded.shape[-2:]
        padded = pad_to_multiple(2 * degraded - 1, self.multiple).contiguous(memory_format=torch.channels_last)
        features = [self.head(padded)]  # N x width x H x W
        for down in self.down:
            features.append(down(features[-1]))  # N x (width 2^level) x H / 2^level x W / 2^level
        restored = self.blocks(features.pop())
        for up in self.up:
            restored = up(restored)
            if self.skips:
                restored = restored + features.pop()
        return self.to_image(self.out(restored)[..., :height, :width], degraded)
