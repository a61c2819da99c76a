"""Damage done on purpose, so that the undamaged image is known.

A degradation is anything callable `(clean, generator) -> degraded` on a batch N x 3 x H x W in [0, 1], on
the batch's device. It is random only through the `torch.Generator` it is given: the same seed on the same
kind of device gives the same damage.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Degradation = Callable[[Tensor, torch.Generator], Tensor]


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that starts from `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


def random_seed(*numbers: int) -> int:
    """One well-mixed seed from several numbers, such as a run's seed and a step."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True)
class SaltAndPepper:
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
        return clean.masked_fill(white, 1.0).masked_fill(black, 0.0)


@dataclass(frozen=True)
class GaussianNoise:
    """Add independent normal noise to every channel of every pixel, then clip to [0, 1].

    Attributes:
        sigma: standard deviation on the [0, 1] scale; 25 / 255 is the denoising literature's usual one.
    """

    sigma: float = 25 / 255

    def __post_init__(self) -> None:
        if self.sigma < 0:
            raise ValueError(f"sigma is a standard deviation and cannot be {self.sigma}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        return (clean + self.sigma * noise).clamp(0, 1)


class Compose:
    """Several degradations one after the other, as a real photo suffers them.

    Example:
        >>> Compose(GaussianNoise(0.02), SaltAndPepper(0.01))(clean, seeded(0))
    """

    def __init__(self, *steps: Degradation) -> None:
        self.steps = steps

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        for step in self.steps:
            clean = step(clean, generator)
        return clean

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"
