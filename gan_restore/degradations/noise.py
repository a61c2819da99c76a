"""Salt-and-pepper noise and Gaussian noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, sample_uniform


@dataclass(frozen=True, repr=False)
class SaltAndPepper(Settings):
    """Replace whole pixels by white (salt) or black (pepper), as dead sensor cells and bit errors do.

    Each pixel is replaced with probability `density`, in all its channels together, and is then white with
    probability `salt`. All other pixels keep their values.

    Attributes:
        density: share of the pixels that are replaced, in [0, 1].
        salt: share of the replaced pixels that become white, in [0, 1].

    Example:
        >>> from gan_restore.degradations import seeded
        >>> SaltAndPepper(0.06)(torch.full((1, 3, 100, 100), 0.5), seeded(0)).eq(1).float().mean()
        tensor(0.0322)
    """

    density: Range = 0.06
    salt: Range = 0.5

    def __post_init__(self) -> None:
        self.check_range("density", 0, 1)
        self.check_range("salt", 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the noisy batch of the same shape."""
        density = sample_uniform(self.density, len(clean), generator)
        draw = torch.rand(clean.shape[0], 1, *clean.shape[2:], generator=generator, device=clean.device)
        white = draw < density * sample_uniform(self.salt, len(clean), generator)
        black = (draw < density) & ~white
        return clean.masked_fill(white, 1.0).masked_fill_(black, 0.0)


@dataclass(frozen=True, repr=False)
class GaussianNoise(Settings):
    """Add independent normal noise to every channel of every pixel, then clip to [0, 1].

    Attributes:
        sigma: standard deviation on the [0, 1] scale. 25 / 255 is the usual one in papers on denoising.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> GaussianNoise(0.1)(torch.full((1, 3, 100, 100), 0.5), seeded(0)).std()
        tensor(0.1001)
    """

    sigma: Range = 25 / 255

    def __post_init__(self) -> None:
        self.check_range("sigma", 0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the noisy batch of the same shape, clipped to [0, 1]."""
        sigma = sample_uniform(self.sigma, len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        # In place: allocating new batches takes longer than adding them.
        return noise.mul_(sigma).add_(clean).clamp_(0, 1)
