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
from gan_restore.networks.layers import PaddedConv2d


class ResidualEncoderDecoder(RestoringNetwork):
    """Strided convolutions, residual blocks, upsampling (Johnson et al. 2016, in the layout of CycleGAN).

    7x7 convolution; `down` 3x3 convolutions of stride 2 that double the channels; `blocks` residual blocks of
    two 3x3 convolutions; `down` upsampling layers that halve the channels; 7x7 convolution; Tanh. Normalisation and
    ReLU follow each layer but the last. With `blocks=0` and "resize" it is the generator of `face-cgan`.

    Args:
        width: channels of the first convolution (CycleGAN: 64).
        down: number of times that height and width are halved (CycleGAN: 2).
        blocks: residual blocks (CycleGAN: 9 for 256 x 256 pixels).
        norm: normalisation; "instance" or "none" does not mix the images of a batch.
        upsample: "transposed" (CycleGAN), or another kind of `upsampling` to avoid its checkerboard pattern.
        residual: predict the correction to the degraded image.
        kernel: side of the first and the last convolution (CycleGAN: 7).
        skips: add the features before each halving to those after the upsampling (DRUNet, Zhang et al. 2021).
            Fine detail, and noise to subtract, then need not pass the lowest resolution.

    Example:
        >>> ResidualEncoderDecoder(width=8, blocks=2)(torch.rand(2, 3, 37, 31)).shape
        torch.Size([2, 3, 37, 31])
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
        # First and last convolution; down and up, where a pixel of the lowest level covers 2^down; the blocks.
        self.radius = 2 * (kernel // 2) + 4 * (self.multiple - 1) + 2 * blocks * self.multiple
        channels = [width * 2**level for level in range(down + 1)]
        bias, edge = norm == "none", kernel // 2  # a normalisation has its own bias

        def stage(layer: nn.Module, channels: int) -> nn.Sequential:
            return nn.Sequential(layer, *normalisation(norm, channels), nn.ReLU())

        head = PaddedConv2d(3, width, kernel, padding=edge, padding_mode="replicate", bias=bias)
        self.head = stage(head, width)
        self.down = nn.ModuleList(stage(nn.Conv2d(a, b, 3, 2, 1, bias=bias), b) for a, b in pairwise(channels))
        self.blocks = nn.Sequential(*(ResidualBlock(channels[-1], norm, nn.ReLU) for _ in range(blocks)))
        ups = pairwise(channels[::-1])
        self.up = nn.ModuleList(stage(upsampling(upsample, a, b, 3, bias), b) for a, b in ups)
        self.out = PaddedConv2d(width, 3, kernel, padding=edge, padding_mode="replicate")
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 3 x H x W, in [0, 1] in eval mode."""
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
