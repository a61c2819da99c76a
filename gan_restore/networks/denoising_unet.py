"""The U-Net of `unet-denoiser`."""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.networks.blocks import Norm, RestoringNetwork, normalisation, pad_to_multiple, upsampling
from gan_restore.networks.impulses import biharmonic_fill, impulse_mask, likely_impulses
from gan_restore.networks.layers import Dropout, float32_layout, in_layout_of


class DenoisingUNet(RestoringNetwork):
    """The U-Net of `unet-denoiser`: its published settings are the defaults.

    Encoder: `depth` levels of width, 2 x width, 4 x width ... channels. From the second level on, the second
    convolution of a block has stride 2. Decoder: at each level a 3x3 transposed convolution of stride 2, the skip
    connection, a block. A block is twice (3x3 convolution, LeakyReLU 0.1, dropout, BatchNorm). Sigmoid at the end.

    Args:
        width: channels of the first level (published: 64).
        depth: levels (published: 5).
        dropout: probability (published: 0.2).
        norm: "batch" (published) or "none". Batch statistics vary from batch to batch, which limits how exact the
            output can be.
        residual: predict the correction to an initial estimate instead of the image. The initial estimate is the
            input itself or, with `mask_input`, the input with its likely impulses filled by `biharmonic_fill`.
        mask_input: show the network where `impulse_mask` and `likely_impulses` find impulses, and the filled
            image. Pixels outside the impulse mask keep their values.
        unshuffle: side of the pixel blocks that are moved into channels before the first level (FFDNet, Zhang et
            al. 2018): the same receptive field for a fraction of the work (published: 1, none).

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
        self.float32_layout = float32_layout(width)
        # Two convolutions at the first level and one at the end; two down and three up at each other level; a pixel
        # of the lowest level covers `multiple`; the iterations of the initial estimate reach two pixels each.
        self.radius = 3 * unshuffle + 6 * (self.multiple - unshuffle) + self.multiple - 1 + 20 * mask_input
        channels = [width * 2**level for level in range(depth)]
        block = partial(_block, dropout=dropout, norm=norm)
        self.encoder = nn.ModuleList([block((8 if mask_input else 3) * unshuffle**2, width)])
        self.encoder += [block(a, b, stride=2) for a, b in pairwise(channels)]
        upwards = channels[::-1]
        self.up = nn.ModuleList(upsampling("transposed", a, b) for a, b in pairwise(upwards))
        self.decoder = nn.ModuleList(block(2 * b, b) for b in upwards[1:])
        self.out = nn.Conv2d(width, 3 * unshuffle**2, 3, padding=1)
        self.initialise(norm)

    def forward(self, degraded: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 3 x H x W, in [0, 1] in eval mode."""
        if not self.mask_input:
            return self.to_image(self._unet(degraded), degraded)
        mask, likely = impulse_mask(degraded), likely_impulses(degraded)
        initial_estimate = biharmonic_fill(degraded, likely)
        # Without a name for the stacked inputs, so that their memory is free as soon as the U-Net has copied them.
        raw = self._unet(torch.cat([degraded, initial_estimate, mask.to(degraded), likely.to(degraded)], dim=1))
        return torch.where(mask, self.to_image(raw, initial_estimate), degraded)

    def _unet(self, features: Tensor) -> Tensor:
        """N x C x H x W -> values of the last layer N x 3 x H x W."""
        height, width = features.shape[-2:]
        features = F.pixel_unshuffle(pad_to_multiple(features, self.multiple), self.unshuffle)
        features = in_layout_of(features, self.encoder)
        skips = []
        for block in self.encoder:
            features = block(features)  # N x (width 2^level) x H / 2^level x W / 2^level
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            features = torch.cat([up(features), skips.pop()], dim=1)
            for layer in block.children():  # a call of the whole block would keep its input until the end
                features = layer(features)
        return F.pixel_shuffle(self.out(features), self.unshuffle)[..., :height, :width]


def _block(inside: int, outside: int, dropout: float, norm: Norm, stride: int = 1) -> nn.Sequential:
    """Twice (3x3 convolution, LeakyReLU, dropout, normalisation); the second convolution has the stride."""
    layers: list[nn.Module] = []
    for a, b, step in ((inside, outside, 1), (outside, outside, stride)):
        layers += [nn.Conv2d(a, b, 3, stride=step, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        layers += [Dropout(dropout)] if dropout else []
        layers += normalisation(norm, b)
    return nn.Sequential(*layers)
