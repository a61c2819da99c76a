"""The blind mixture for faces."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_restore.degradations.base import Range, Settings
from gan_restore.degradations.blur_and_codec import JPEG, GaussianBlur, resize, shrink_each
from gan_restore.degradations.noise import GaussianNoise


@dataclass(frozen=True, repr=False)
class BlindFace(Settings):
    """A mixture for blind face restoration: blur, downsampling, noise, JPEG, enlargement to the old size.

    The order is that of GFPGAN (Wang et al. 2021, equation 2). "Blind" means that a restoration does not know the
    settings, which every image draws for itself. Noise and JPEG act on the small image and are enlarged with it.
    Blur and factor are milder than in the paper (0.2 to 10; 1 to 8), noise and JPEG are stronger (0 to 15 / 255; 60
    to 100). Resizing is bicubic.

    Attributes:
        blur: sigma of the Gaussian blur in pixels.
        factor: of the downsampling, at least 1.
        noise: sigma of the Gaussian noise on the [0, 1] scale.
        quality: of the JPEG codec, whole numbers from 1 to 100.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> BlindFace()(torch.rand(2, 3, 64, 48), seeded(0)).shape
        torch.Size([2, 3, 64, 48])
    """

    blur: Range = (0.2, 1.5)
    factor: Range = (1.0, 2.5)
    noise: Range = (10 / 255, 30 / 255)
    quality: int | tuple[int, int] = (40, 90)

    def __post_init__(self) -> None:
        self.check_range("blur", 0)
        self.check_range("factor", 1)
        self.check_range("noise", 0)
        JPEG(self.quality)  # checks it

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the degraded batch of the same shape, rounded to 8 bits."""
        small = shrink_each(GaussianBlur(self.blur)(clean, generator), self.factor, generator)
        noise = GaussianNoise(self.noise)
        compressed = JPEG(self.quality).compress([noise(image, generator) for image in small], generator)
        return torch.cat([resize(image, clean.shape[2:]) for image in compressed])
