"""Networks that restore: N x 3 x H x W in [0, 1] -> the same, for any height and width.

What a network works with inside (padding to a multiple, ranges, masks) never leaves it. In training mode
outputs are not clipped, because a clipped value has no gradient; in evaluation mode they are.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.impulses import biharmonic_fill, impulse_mask, likely_impulses

Norm = Literal["batch", "none"]

RESIDUAL_SCALE = 0.1
"""Corrections are small beside images; scaled so, the first steps of Adam do not throw the first answer away."""


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")


class DenoisingUNet(nn.Module):
    """The `unet-denoiser`'s U-Net, with the published settings as defaults and what it lacked as options.

    Encoder: `depth` levels of width, 2 x width, 4 x width ... channels; from the second level on, the second
    convolution of a block has stride 2. Decoder: a 3x3 transposed convolution of stride 2, the skip, a block.
    A block is twice (3x3 convolution, LeakyReLU 0.1, dropout, BatchNorm).

    Args:
        width: channels of the first level (published: 64).
        depth: levels (published: 5).
        dropout: probability (published: 0.2).
        norm: "batch" (published) or "none": batch statistics are noise to a network that must be exact.
        residual: predict the correction to a first answer instead of the image. The first answer is the
            input itself or, with `mask_input`, its biharmonic fill.
        mask_input: show the network which pixels are pure black or white, which of those stand alone, and
            their fill; all other pixels are passed through untouched.
        unshuffle: fold blocks of this many pixels a side into channels before the first level, as FFDNet does
            (Zhang et al. 2018): the same field of view for a fraction of the work (published: 1).

    Example:
        >>> DenoisingUNet(width=16, depth=3)(torch.rand(1, 3, 37, 31)).shape
        torch.Size([1, 3, 37, 31])
    """

    def __init__(
        self,
        width: int = 64,
        depth: int = 5,
        dropout: float = 0.2,
        norm: Norm = "batch",
        residual: bool = False,
        mask_input: bool = False,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.residual, self.mask_input, self.unshuffle = residual, mask_input, unshuffle
        self.multiple = unshuffle * 2 ** (depth - 1)
        channels = [width * 2**level for level in range(depth)]
        block = lambda inside, outside, stride=1: _block(inside, outside, stride, dropout, norm)  # noqa: E731
        self.encoder = nn.ModuleList([block((8 if mask_input else 3) * unshuffle**2, width)])
        self.encoder += [block(a, b, 2) for a, b in pairwise(channels)]
        below = channels[::-1]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1) for a, b in pairwise(below)
        )
        self.decoder = nn.ModuleList(block(2 * b, b) for b in below[1:])
        self.out = nn.Conv2d(width, 3 * unshuffle**2, 3, padding=1)
        if norm == "none":
            self.apply(_keep_variance)
        if residual:  # an untrained network gives the first answer
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, degraded: Tensor) -> Tensor:
        first, seen = degraded, degraded
        if self.mask_input:
            mask, alone = impulse_mask(degraded), likely_impulses(degraded)
            first = biharmonic_fill(degraded, alone)
            seen = torch.cat([degraded, first, mask.to(degraded), alone.to(degraded)], dim=1)
        restored = self._unet(seen)
        restored = first + RESIDUAL_SCALE * restored if self.residual else torch.sigmoid(restored)
        if self.mask_input:
            restored = torch.where(mask, restored, degraded)
        return restored if self.training else restored.clamp(0, 1)

    def _unet(self, seen: Tensor) -> Tensor:
        height, width = seen.shape[-2:]
        features = F.pixel_unshuffle(pad_to_multiple(seen, self.multiple), self.unshuffle)
        features = features.contiguous(memory_format=torch.channels_last)
        skips = []
        for block in self.encoder:
            features = block(features)  # N x (width 2^level) x H / 2^level x W / 2^level
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            features = block(torch.cat([up(features), skips.pop()], dim=1))
        return F.pixel_shuffle(self.out(features), self.unshuffle)[..., :height, :width].float()


def _block(inside: int, outside: int, stride: int, dropout: float, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b, step in ((inside, outside, 1), (outside, outside, stride)):
        layers += [nn.Conv2d(a, b, 3, stride=step, padding=1), nn.LeakyReLU(0.1)]
        layers += [nn.Dropout(dropout)] if dropout else []
        layers += [nn.BatchNorm2d(b)] if norm == "batch" else []
    return nn.Sequential(*layers)


def _keep_variance(module: nn.Module) -> None:
    """He initialisation: without normalisation PyTorch's default would shrink the signal layer by layer."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, a=0.1)
        nn.init.zeros_(module.bias)
