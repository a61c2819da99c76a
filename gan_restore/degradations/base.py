"""What the degradations share: seeds, settings and their ranges, composition."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Degradation = Callable[[Tensor, torch.Generator], Tensor]
"""Anything callable `(clean, generator) -> degraded` on a batch N x 3 x H x W in [0, 1], on the batch's device.

Its randomness comes from the generator only, which lives on the same device."""

Range = float | tuple[float, float]
"""A number, or a pair (low, high) from which each image draws its own value."""


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator on `device` that starts from `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


def random_seed(*numbers: int) -> int:
    """Mix several numbers, such as the seed of a run and a step, into one seed in [0, 2^63).

    Neighbouring numbers give unrelated seeds (NumPy's `SeedSequence`).

    Example:
        >>> random_seed(0, 1) != random_seed(1, 0)
        True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def bounds(value: Range) -> tuple[float, float]:
    """The lowest and the highest value of a setting.

    Example:
        >>> bounds(2.0), bounds((1.0, 3.0))
        ((2.0, 2.0), (1.0, 3.0))
    """
    low, high = value if isinstance(value, Sequence) else (value, value)
    return low, high


def sample_uniform(value: Range, count: int, generator: torch.Generator) -> Tensor:
    """Draw a value for each of `count` images, uniformly from a range; a plain number needs no draw.

    Returns:
        count x 1 x 1 x 1, on the device of the generator.
    """
    low, high = bounds(value)
    if low == high:
        return torch.full((count, 1, 1, 1), float(low), device=generator.device)
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base class of degradations that are dataclasses: a short `repr` for tables, and checks of the settings."""

    def __repr__(self) -> str:
        fields = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in fields)})"

    def check_range(self, name: str, lowest: float, highest: float = math.inf) -> None:
        """Check that a setting is a finite number, or a pair low <= high of them, from `lowest` to `highest`.

        Raises:
            ValueError: if it is not.
        """
        value = getattr(self, name)
        try:
            low, high = bounds(value)
            valid = lowest <= low <= high <= highest and high < math.inf
        except (TypeError, ValueError):
            valid = False
        if not valid:
            allowed = f"at least {lowest}" if highest == math.inf else f"from {lowest} to {highest}"
            raise ValueError(f"{name} must be a number or a pair (low, high), {allowed}, not {value!r}")


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


class Compose:
    """Apply several degradations, one after the other.

    Args:
        steps: the degradations in their order.

    Example:
        >>> from gan_restore.degradations import GaussianNoise, SaltAndPepper
        >>> damage = Compose(GaussianNoise(0.02), SaltAndPepper(0.01))
        >>> damage(torch.rand(2, 3, 32, 48), seeded(0)).shape
        torch.Size([2, 3, 32, 48])
    """

    def __init__(self, *steps: Degradation) -> None:
        self.steps = steps

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the degraded batch, of the size that the steps give it."""
        for step in self.steps:
            clean = step(clean, generator)
        return clean

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same degraded batch and a mask of the damage, the maximum of the masks of the steps.

        Steps without a mask, such as noise, change every pixel and are left out of it.

        Returns:
            The degraded batch N x 3 x H x W, and the mask N x 1 x H x W, both in [0, 1].

        Raises:
            ValueError: if no step has a mask.
        """
        masks = []
        for step in self.steps:
            if hasattr(step, "with_mask"):
                clean, mask = step.with_mask(clean, generator)
                masks.append(mask)
            else:
                clean = step(clean, generator)
        if not masks:
            raise ValueError(f"no step of {self} has a mask")
        return clean, torch.stack(masks).amax(0)

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"
