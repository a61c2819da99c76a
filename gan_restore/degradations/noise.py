"""Salt-and-pepper noise and Gaussian noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, sample


@dataclass(frozen=True, repr=False)
class SaltAndPepper(Settings):
    """Replace whole pixels by white (salt) or black (pepper), as dead sensor cells and bit errors do.

    Each pixel is hit with probability `density`, all its channels together; a hit pixel is white with
    probability `salt`. What is not hit is not changed at all.

    Attributes:
        density: share of the pixels that are hit, in [0, 1].
        salt: share of the hit pixels that become white, in [0, 1].

    Example:
        >>> SaltAndPepper(0.06)(torch.full((1, 3, 100, 100), 0.5), seeded(0)).eq(1).float().mean()
        tensor(0.0306)
    """

    density: float = 0.06
    salt: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.density <= 1 and 0 <= self.salt <= 1):
            raise ValueError(f"density and salt are shares in [0, 1], not {self.density} and {self.salt}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        draw = torch.rand(clean.shape[0], 1, *clean.shape[2:], generator=generator, device=clean.device)
        white = draw < self.density * self.salt
        black = (draw >= self.density * self.salt) & (draw < self.density)
        return clean.masked_fill(white, 1.0).masked_fill_(black, 0.0)


@dataclass(frozen=True, repr=False)
class GaussianNoise(Settings):
    """Add independent normal noise to every channel of every pixel, then clip to [0, 1].

    Attributes:
        sigma: standard deviation on the [0, 1] scale; 25 / 255 is the denoising literature's usual one.
    """

    sigma: Range = 25 / 255

    def __post_init__(self) -> None:
        self.check("sigma", 0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        sigma = sample(self.sigma, len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        # In place: in batches, new memory costs more than the sums.
        return noise.mul_(sigma).add_(clean).clamp_(0, 1)
