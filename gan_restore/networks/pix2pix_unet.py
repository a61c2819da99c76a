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
from gan_restore.networks.top_hats import top_hats


class Pix2PixUNet(RestoringNetwork):
    """The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1): `levels` halvings down to one pixel at 256 x 256.

    Encoder: 4x4 convolutions of stride 2 with reflection padding, LeakyReLU 0.2, BatchNorm in all but the first
    and the innermost. Decoder: 4x4 transposed convolutions of stride 2, BatchNorm, dropout in the first three,
    ReLU, then the skip. Tanh at the end. 64-128-256-512-512 ... channels, 54.4 M parameters as published.

    Args:
        width: channels of the first level (published: 64); the widest has 8 times as many.
        levels: halvings (published: 8).
        dropout: of the first three decoder blocks (published: 0.5).
        norm: "batch" (published); at batch size 1 its running means ruin the image, "none" or "instance" do not.
        upsample: "transposed" (published), or another to avoid its checkerboard.
        residual: predict the correction to the degraded image.
        top_hat_input: show the network what is thin and stands out, as `top_hats` finds it.

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
        seen = 5 if top_hat_input else 3
        channels = [width * min(8, 2**level) for level in range(levels)]
        bias = norm == "none"  # a normalisation has its own
        self.encoder = nn.ModuleList([nn.Conv2d(seen, width, 4, 2, 1, padding_mode="reflect")])
        for level, (inside, outside) in enumerate(pairwise(channels), start=2):
            layers = [nn.LeakyReLU(0.2), nn.Conv2d(inside, outside, 4, 2, 1, padding_mode="reflect", bias=bias)]
            self.encoder.append(nn.Sequential(*layers, *(normalisation(norm, outside) if level < levels else [])))
        self.decoder = nn.ModuleList()
        for number, (inside, outside) in enumerate(pairwise(channels[::-1])):
            drop = [nn.Dropout(dropout)] if number < 3 and dropout else []
            up = upsampling(upsample, (1 if number == 0 else 2) * inside, outside, 4, bias)
            self.decoder.append(nn.Sequential(nn.ReLU(), up, *normalisation(norm, outside), *drop))
        self.up = upsampling(upsample, 2 * width if levels > 1 else width, width if residual else 3, 4)
        if residual:
            # A correction must be exact to the pixel: two more convolutions also see the damaged image itself.
            self.fine = nn.Conv2d(width + seen, width, 3, padding=1)
            self.out = nn.Conv2d(width, 3, 3, padding=1)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        height, width = degraded.shape[-2:]
        seen = torch.cat([2 * degraded - 1, top_hats(degraded)], dim=1) if self.top_hat_input else 2 * degraded - 1
        padded = pad_to_multiple(seen, self.multiple)
        features, skips = padded.contiguous(memory_format=torch.channels_last), []
        for block in self.encoder:
            features = block(features)  # N x C x H / 2^level x W / 2^level
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            features = torch.cat([block(features), skips.pop()], dim=1)
        raw = self.up(F.relu(features))
        if self.residual:
            raw = self.out(F.relu(self.fine(torch.cat([F.relu(raw), padded], dim=1))))
        return self.to_image(raw[..., :height, :width], degraded)
