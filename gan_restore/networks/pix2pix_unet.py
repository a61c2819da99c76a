"""The U-Net of `pix2pix`."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.networks.blocks import (
    Norm,
    RestoringNetwork,
    Upsampling,
    normalisation,
    pad_to_multiple,
    tanh_range,
    upsampling,
)
from gan_restore.networks.layers import Dropout, PaddedConv2d, concatenate, float32_layout, in_layout_of
from gan_restore.networks.top_hats import top_hats


class Pix2PixUNet(RestoringNetwork):
    """The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1).

    Encoder: `levels` 4x4 convolutions of stride 2 with reflection padding, LeakyReLU 0.2, BatchNorm in all but the
    first and the innermost. Decoder: 4x4 transposed convolutions of stride 2, BatchNorm, dropout in the first
    three, ReLU; a skip connection joins each level of the encoder to the decoder. Tanh at the end. As published, a
    256 x 256 image is reduced to one pixel, and the network has 54.4 M parameters.

    Args:
        width: channels of the first level (published: 64); they double up to 8 x width.
        levels: number of times that height and width are halved (published: 8).
        dropout: probability in the first three blocks of the decoder (published: 0.5).
        norm: "batch" (published). Trained with small batches, its running means spoil the image in eval mode;
            "none" and "instance" do not.
        upsample: "transposed" (published), or another kind of `upsampling` to avoid its checkerboard pattern.
        residual: predict the correction to the degraded image.
        top_hat_input: show the network the `top_hats` of the image too, which respond to scratches.

    Example:
        >>> Pix2PixUNet(width=8, levels=4)(torch.rand(2, 3, 37, 31)).shape
        torch.Size([2, 3, 37, 31])
    """

    def __init__(
        self,
        width: int = 64,
        levels: int = 8,
        dropout: float = 0.5,
        norm: Norm = "batch",
        upsample: Upsampling = "transposed",
        residual: bool = False,
        top_hat_input: bool = False,
    ) -> None:
        super().__init__(tanh_range, residual)
        self.multiple, self.top_hat_input = 2**levels, top_hat_input
        self.float32_layout = float32_layout(width)
        # Down and up, where a pixel of the lowest level covers 2^levels; the last two convolutions; the top-hats.
        self.radius = 5 * (self.multiple - 1) + 2 * residual + 8 * top_hat_input
        inputs = 5 if top_hat_input else 3
        channels = [width * min(8, 2**level) for level in range(levels)]
        bias = norm == "none"  # a normalisation has its own bias
        self.encoder = nn.ModuleList([PaddedConv2d(inputs, width, 4, 2, 1, padding_mode="reflect")])
        for level, (inside, outside) in enumerate(pairwise(channels), start=2):
            layers = [nn.LeakyReLU(0.2), PaddedConv2d(inside, outside, 4, 2, 1, padding_mode="reflect", bias=bias)]
            self.encoder.append(nn.Sequential(*layers, *(normalisation(norm, outside) if level < levels else [])))
        self.decoder = nn.ModuleList()
        for number, (inside, outside) in enumerate(pairwise(channels[::-1])):
            drop = [Dropout(dropout)] if number < 3 and dropout else []
            up = upsampling(upsample, (1 if number == 0 else 2) * inside, outside, 4, bias)
            self.decoder.append(nn.Sequential(nn.ReLU(), up, *normalisation(norm, outside), *drop))
        self.up = upsampling(upsample, 2 * width if levels > 1 else width, width if residual else 3, 4)
        if residual:
            # A correction must be exact to the pixel: two more convolutions also see the damaged image itself.
            self.fine = nn.Conv2d(width + inputs, width, 3, padding=1)
            self.out = nn.Conv2d(width, 3, 3, padding=1)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 3 x H x W, in [0, 1] in eval mode."""
        height, width = degraded.shape[-2:]
        inputs = 2 * degraded - 1
        if self.top_hat_input:
            inputs = torch.cat([inputs, top_hats(degraded)], dim=1)
        # In one memory layout throughout: a concatenation of two layouts has to be copied once more.
        padded = in_layout_of(pad_to_multiple(inputs, self.multiple), self.encoder)
        features, skips = padded, []
        for block in self.encoder:
            features = block(features)  # N x C x H / 2^level x W / 2^level
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            features = concatenate(block(features), skips.pop())
        # One name for all features, so that earlier ones are freed: those of full resolution are large.
        features = self.up(F.relu(features))
        if self.residual:
            features = torch.cat([F.relu(features), padded], dim=1)
            features = self.out(F.relu(self.fine(features)))
        return self.to_image(features[..., :height, :width], degraded)
