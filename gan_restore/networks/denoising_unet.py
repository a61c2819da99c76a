"""The U-Net of `unet-denoiser`."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.networks.blocks import Norm, RestoringNetwork, normalisation, pad_to_multiple, upsampling
from gan_restore.networks.impulses import biharmonic_fill, impulse_mask, likely_impulses


class DenoisingUNet(RestoringNetwork):
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
        super().__init__(torch.sigmoid, residual)
        self.mask_input, self.unshuffle = mask_input, unshuffle
        self.multiple = unshuffle * 2 ** (depth - 1)
        channels = [width * 2**level for level in range(depth)]
        block = lambda inside, outside, stride=1: _block(inside, outside, stride, dropout, norm)  # noqa: E731
        self.encoder = nn.ModuleList([block((8 if mask_input else 3) * unshuffle**2, width)])
        self.encoder += [block(a, b, 2) for a, b in pairwise(channels)]
        below = channels[::-1]
        self.up = nn.ModuleList(upsampling("transposed", a, b) for a, b in pairwise(below))
        self.decoder = nn.ModuleList(block(2 * b, b) for b in below[1:])
        self.out = nn.Conv2d(width, 3 * unshuffle**2, 3, padding=1)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        first, seen = degraded, degraded
        if self.mask_input:
            mask, alone = impulse_mask(degraded), likely_impulses(degraded)
            first = biharmonic_fill(degraded, alone)
            seen = torch.cat([degraded, first, mask.to(degraded), alone.to(degraded)], dim=1)
        restored = self.to_image(self._unet(seen), first)
        return torch.where(mask, restored, degraded) if self.mask_input else restored

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
        return F.pixel_shuffle(self.out(features), self.unshuffle)[..., :height, :width]


def _block(inside: int, outside: int, stride: int, dropout: float, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b, step in ((inside, outside, 1), (outside, outside, stride)):
        layers += [nn.Conv2d(a, b, 3, stride=step, padding=1), nn.LeakyReLU(0.1)]
        layers += [nn.Dropout(dropout)] if dropout else []
        layers += normalisation(norm, b)
    return nn.Sequential(*layers)
