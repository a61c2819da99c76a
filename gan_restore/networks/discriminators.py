"""Discriminators. They return logits: the loss functions apply the sigmoid.

All are called as `discriminator(degraded, image)`, two batches N x 3 x H x W in [0, 1]. `image` is the clean or the
restored version of `degraded`.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_restore.networks.layers import PaddedConv2d


class DenoisingDiscriminator(nn.Module):
    """The discriminator of `unet-denoiser`: five 3x3 convolutions of stride 2 on (noisy, image) pairs.

    All but the last are followed by LeakyReLU 0.1 and BatchNorm. The output is a map of logits.

    Args:
        width: channels of the first convolution; they double up to 8 x width (published: 64-128-256-512-1).

    Example:
        >>> DenoisingDiscriminator(8)(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 1, 2, 2])
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [6, *(width * 2**level for level in range(4))]
        layers: list[nn.Module] = []
        for inside, outside in pairwise(channels):
            convolution = nn.Conv2d(inside, outside, 3, stride=2, padding=1)
            layers += [convolution, nn.LeakyReLU(0.1), nn.BatchNorm2d(outside)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 3, stride=2, padding=1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1] -> logits N x 1 x H/32 x W/32, rounded up."""
        return self.layers(torch.cat([degraded, image], dim=1))


class PatchGAN(nn.Module):
    """The discriminator of pix2pix (Isola et al. 2017): one logit for each patch of a (damaged, image) pair.

    4x4 convolutions with reflection padding, `layers` of stride 2 and two more of stride 1. All but the last are
    followed by LeakyReLU 0.2, and all but the first and the last have BatchNorm. With 3 layers of stride 2, the
    receptive field of a logit is 70 x 70 pixels. As published it has 2.77 M parameters.

    Args:
        width: channels of the first convolution; they double up to 8 x width (published: 64-128-256-512-1).
        layers: convolutions of stride 2.

    Example:
        >>> PatchGAN(8)(torch.rand(1, 3, 256, 256), torch.rand(1, 3, 256, 256)).shape
        torch.Size([1, 1, 30, 30])
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        channels = [6, *(width * min(8, 2**level) for level in range(layers + 1))]
        stack: list[nn.Module] = []
        for number, (inside, outside) in enumerate(pairwise(channels)):
            norm = [nn.BatchNorm2d(outside)] if number else []
            stride = 2 if number < layers else 1
            convolution = PaddedConv2d(inside, outside, 4, stride, 1, padding_mode="reflect", bias=not norm)
            stack += [convolution, *norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*stack, PaddedConv2d(channels[-1], 1, 4, 1, 1, padding_mode="reflect"))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1], H and W at least 24 -> logits N x 1 x h x w (256 -> 30)."""
        return self.layers(2 * torch.cat([degraded, image], dim=1) - 1)


class Classifier(nn.Module):
    """A discriminator of whole images: convolutions that reduce the resolution, dense layers, one logit.

    Each convolution is followed by BatchNorm (but not the first) and LeakyReLU 0.2. The mean over the cells of a
    grid then gives the dense layers an input of one size for any image. LeakyReLU 0.2 stands between the dense
    layers.

    Args:
        convolutions: (channels, stride) of each convolution.
        kernel: side of the convolutions' kernels.
        conditioned: show the network the degraded image beside the one to judge.
        grid: cells a side; 1 is the mean over the whole image.
        dense: widths of the dense layers before the logit.

    Example:
        The discriminator of SRGAN (Ledig et al. 2017, figure 4), with a mean in place of its fixed image size:

        >>> srgan = [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]
        >>> Classifier(srgan, dense=[1024])(torch.rand(2, 3, 48, 48), torch.rand(2, 3, 48, 48)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        convolutions: Sequence[tuple[int, int]],
        kernel: int = 3,
        conditioned: bool = False,
        grid: int = 1,
        dense: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.conditioned = conditioned
        layers: list[nn.Module] = []
        inside = 6 if conditioned else 3
        for number, (outside, stride) in enumerate(convolutions):
            norm = [nn.BatchNorm2d(outside)] if number else []
            padding = (kernel - 1) // 2
            layers += [nn.Conv2d(inside, outside, kernel, stride, padding, bias=not norm), *norm, nn.LeakyReLU(0.2)]
            inside = outside
        widths = [inside * grid**2, *dense]
        layers += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1] -> logits N x 1. Without `conditioned`, `degraded` is ignored."""
        images = torch.cat([degraded, image], dim=1) if self.conditioned else image
        return self.layers(2 * images - 1)


class LocalDiscriminator(nn.Module):
    """A discriminator of textures: one logit for each neighbourhood of 20 x 20 pixels of an image.

    Five 3x3 convolutions with spectral normalisation (Miyato et al. 2018) and LeakyReLU 0.2 between them, for use
    with the hinge loss. The receptive field covers a texture but no object, so the discriminator judges textures
    and edges only, and a map of logits gives the generator a gradient of its own at every place.

    After the first convolution, blocks of 2 x 2 pixels are rearranged into channels (Shi et al. 2016, in reverse).
    So the discriminator tells even pixels from odd ones and detects a grid, which generators draw at the places of
    their upsampling layers; after a mean over 2 x 2 pixels it would not. Strided 3x3 convolutions would detect it
    too, but give some pixels several times the gradient of their neighbours, and so draw a grid themselves (Odena
    et al. 2016).

    Args:
        width: the first convolution has half as many channels (rounded down), the next three twice as many.

    Example:
        >>> LocalDiscriminator(8)(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 1, 32, 32])
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()

        def convolution(inside: int, outside: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(inside, outside, 3, padding=1))

        first = max(1, width // 2)
        layers = [convolution(3, first), nn.LeakyReLU(0.2), nn.PixelUnshuffle(2)]
        for inside in (4 * first, 2 * width, 2 * width):
            layers += [convolution(inside, 2 * width), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, convolution(2 * width, 1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        """Two batches N x 3 x H x W in [0, 1] -> logits N x 1 x H/2 x W/2, rounded down; `degraded` is ignored."""
        height, width = image.shape[-2] // 2 * 2, image.shape[-1] // 2 * 2
        # In 32 bits: bfloat16 rounds bright and dark pixels to half a gray level, and faint texture is lost.
        with torch.autocast(image.device.type, enabled=False):
            features = self.layers[0](2 * image[..., :height, :width].float() - 1)
        return self.layers[1:](features)
