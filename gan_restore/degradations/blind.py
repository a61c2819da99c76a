"""The blind mixture for faces."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_restore.degradations.base import Range, Settings
from gan_restore.degradations.blur_and_codec import JPEG, GaussianBlur, resize, shrink_each
from gan_restore.degradations.noise import GaussianNoise


@dataclass(frozen=True, repr=False)
class BlindFace(Settings):
    """The blind mixture for faces (Wang et al. 2021, GFPGAN): blur, shrink, noise, JPEG, back to the old size.

    Every image draws each setting for itself; noise and JPEG act on the small image, so that they come back
    enlarged, as in a photo that was sent around. Blur and factor are milder than the paper's (0.2 to 10, 1 to 8),
    noise and JPEG stronger (0 to 15 / 255, 60 to 100); resizing is bicubic.

    Attributes:
        blur: sigma of the Gaussian blur in pixels.
        factor: by which the image is shrunk.
        noise: sigma of the Gaussian noise on the [0, 1] scale.
        quality: of the JPEG codec.
    """

    blur: Range = (0.2, 1.5)
    factor: Range = (1.0, 2.5)
    noise: Range = (10 / 255, 30 / 255)
    quality: int | tuple[int, int] = (40, 90)

    def __post_init__(self) -> None:
        self.check("blur", 0)
        self.check("factor", 1)
        self.check("noise", 0)
        JPEG(self.quality)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        small = shrink_each(GaussianBlur(self.blur)(clean, generator), self.factor, generator)
        noise = GaussianNoise(self.noise)
        coded = JPEG(self.quality).each([noise(image, generator) for image in small], generator)
        return torch.cat([resize(image, clean.shape[2:]) for image in coded])
