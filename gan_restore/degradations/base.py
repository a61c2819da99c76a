"""What the degradations share: seeds, settings and their ranges, composition."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Degradation = Callable[[Tensor, torch.Generator], Tensor]


Range = float | tuple[float, float]


IMAGES_AT_ONCE = 4  # images in one convolution: more do not fit into a processor's cache and take longer


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that starts from `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


def random_seed(*numbers: int) -> int:
    """One well-mixed seed from several numbers, such as a run's seed and a step."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def limits(value: Range) -> tuple[float, float]:
    """Lowest and highest value of a setting: twice the number, or the pair."""
    low, high = value if isinstance(value, Sequence) else (value, value)
    return low, high


def sample(value: Range, count: int, generator: torch.Generator) -> Tensor:
    """A value for each of `count` images, uniform in the range: count x 1 x 1 x 1 on the generator's device."""
    low, high = limits(value)
    if low == high:
        return torch.full((count, 1, 1, 1), float(low), device=generator.device)
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)


class Settings:
    """What the dataclasses here have in common: a short `repr` for tables, and checked settings."""

    def __repr__(self) -> str:
        fields = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in fields)})"

    def check(self, name: str, lowest: float, highest: float = math.inf) -> None:
        """Raise ValueError unless the setting is a number, or a pair low <= high, from `lowest` to `highest`."""
        value = getattr(self, name)
        try:
            low, high = limits(value)
            right = lowest <= low <= high <= highest and high < math.inf
        except (TypeError, ValueError):
            right = False
        if not right:
            bounds = f"at least {lowest}" if highest == math.inf else f"from {lowest} to {highest}"
            raise ValueError(f"{name} must be a number or a pair (low, high), {bounds}, not {value!r}")


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


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

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same damage, and where it lies: the maximum of the steps' masks, N x 1 x H x W in [0, 1].

        A step without a mask of its own, such as noise, is everywhere and adds nothing to it.

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
