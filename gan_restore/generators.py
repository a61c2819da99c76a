"""Networks that restore: N x 3 x H x W in [0, 1] -> the same, for any height and width.

What a network works with inside (padding to a multiple, Tanh ranges, masks) never leaves it. In training mode
outputs are not clipped, because a clipped value has no gradient; in evaluation mode they are. With `residual`
a network predicts the correction to a first answer instead of the image, and untrained it gives that answer.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.blocks import (
    Norm,
    ResidualBlock,
    RestoringNetwork,
    Upsampling,
    enlarge,
    normalisation,
    pad_to_multiple,
    tanh_range,
    upsampling,
)
from gan_restore.impulses import biharmonic_fill, impulse_mask, likely_impulses


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
        self.initialise(norm, self.out)

    def forward(self, degraded: Tensor) -> Tensor:
        first, seen = degraded, degraded
        if self.mask_input:
            mask, alone = impulse_mask(degraded), likely_impulses(degraded)
            first = biharmonic_fill(degraded, alone)
            seen = torch.cat([degraded, first, mask.to(degraded), alone.to(degraded)], dim=1)
        restored = self.answer(self._unet(seen), first)
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
        show_marks: show the network what is thin and stands out, as `thin_marks` finds it.

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
        show_marks: bool = False,
    ) -> None:
        super().__init__(tanh_range, residual)
        self.multiple, self.show_marks = 2**levels, show_marks
        seen = 5 if show_marks else 3
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
        # A correction must fit to the pixel: two convolutions more, which see the damaged image itself.
        self.fine = nn.Conv2d(width + seen, width, 3, padding=1) if residual else None
        self.out = nn.Conv2d(width, 3, 3, padding=1) if residual else None
        self.initialise(norm, self.out)

    def forward(self, degraded: Tensor) -> Tensor:
        height, width = degraded.shape[-2:]
        seen = torch.cat([2 * degraded - 1, thin_marks(degraded)], dim=1) if self.show_marks else 2 * degraded - 1
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
        return self.answer(raw[..., :height, :width], degraded)


@torch.no_grad()
def thin_marks(images: Tensor, radius: int = 4) -> Tensor:
    """White and black top-hat of the brightness: N x 3 x H x W -> N x 2 x H x W in [0, 1].

    How much a pixel stands out, light or dark, as part of something narrower than 2 radius + 1 pixels: a scratch
    does, and so does a hair; the network learns which is which.
    """
    brightness = images.mean(1, keepdim=True)
    dilate = lambda values: F.max_pool2d(values, 2 * radius + 1, stride=1, padding=radius)  # noqa: E731
    light = brightness - dilate(-dilate(-brightness))
    dark = -dilate(-dilate(brightness)) - brightness
    return torch.cat([light, dark], dim=1).clamp(0, 1)


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
        self.initialise(norm, self.out)

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
        return self.answer(self.out(restored)[..., :height, :width], degraded)


class SRResNet(RestoringNetwork):
    """SRGAN's generator (Ledig et al. 2017, figure 4): N x 3 x H x W -> N x 3 x factor H x factor W.

    9x9 convolution and PReLU; `blocks` residual blocks with BatchNorm and PReLU; 3x3 convolution, BatchNorm and
    the long skip; log2(factor) pixel-shuffle blocks with PReLU; 9x9 convolution and Tanh. At x4 1.5 M parameters.

    Args:
        factor: 2 or 4.
        width: channels (published: 64).
        blocks: residual blocks (published: 16).
        norm: "batch" (published); later networks such as EDSR gain by "none".
        upsample: "shuffle" (published), or another.
        residual: predict the correction to the bicubic enlargement, as VDSR does (Kim et al. 2016).
        kernel: of the first and last convolution (published: 9).

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
        edge = {"padding": kernel // 2, "padding_mode": "replicate"}
        self.head = nn.Sequential(nn.Conv2d(3, width, kernel, **edge), nn.PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(width, norm, nn.PReLU) for _ in range(blocks)))
        last = nn.Conv2d(width, width, 3, padding=1, bias=norm == "none")
        self.body_end = nn.Sequential(last, *normalisation(norm, width))
        enlargements = factor.bit_length() - 1
        ups = [(upsampling(upsample, width, width), nn.PReLU()) for _ in range(enlargements)]
        self.up = nn.Sequential(*(layer for pair in ups for layer in pair))
        self.out = nn.Conv2d(width, 3, kernel, **edge)
        self.initialise(norm, self.out)

    def forward(self, degraded: Tensor) -> Tensor:
        features = self.head(degraded.contiguous(memory_format=torch.channels_last))
        features = features + self.body_end(self.blocks(features))
        first = enlarge(degraded, self.factor) if self.residual else degraded
        return self.answer(self.out(self.up(features)), first)
