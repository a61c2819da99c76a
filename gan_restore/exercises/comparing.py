"""Comparing the results of a function with right ones, and with those of usual mistakes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Mistakes = Sequence[tuple[Callable[..., Any], str]]
"""Functions with a mistake, and what the learner reads if the answer gives the same values."""


def compare(
    answer: Callable[..., Any], right: Callable[..., Any], inputs: Sequence[tuple[Any, ...]], mistakes: Mistakes
) -> str:
    """What is wrong with a function, or an empty string if it agrees with `right` on all inputs."""
    given = [answer(*(_copied(value) for value in values)) for values in inputs]
    if any(value is None for value in given):
        return "the function returns nothing; is there a `return`?"

    def agrees(other: Callable[..., Any]) -> bool:
        return all(close(result, other(*values)) for result, values in zip(given, inputs, strict=True))

    if agrees(right):
        return ""
    for mistake, hint in mistakes:
        if agrees(mistake):
            return hint
    return next(
        _difference(result, right(*values), values)
        for result, values in zip(given, inputs, strict=True)
        if not close(result, right(*values))
    )


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def close(a: Any, b: Any) -> bool:
    """Whether two numbers or tensors have the same shape and nearly the same values."""
    try:
        a, b = (torch.as_tensor(value).detach().double() for value in (a, b))
    except (TypeError, ValueError, RuntimeError):  # no numbers
        return False
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)


def _difference(result: Any, expected: Any, values: tuple[Any, ...]) -> str:
    inputs = ", ".join(f"a tensor {tuple(v.shape)}" if isinstance(v, Tensor) else str(v) for v in values)
    expected = torch.as_tensor(expected)
    try:
        result = torch.as_tensor(result).detach()
    except (TypeError, ValueError, RuntimeError):
        return f"the function returns a {type(result).__name__}; numbers or a tensor are needed."
    if result.shape != expected.shape:
        return (
            f"for {inputs} the shape of the result is {tuple(result.shape)}; it should be {tuple(expected.shape)}."
        )
    if result.isnan().any():
        return f"for {inputs} the result contains NaN (not a number); is there a division by 0?"
    worst = (result.double() - expected.double()).abs().argmax()
    place = "" if result.ndim == 0 else f" at {[int(i) for i in torch.unravel_index(worst, result.shape)]}"
    got, wanted = (f"{values.flatten()[worst].item():.5g}" for values in (result, expected))
    return f"for {inputs} the result{place} is {got}; it should be {wanted}."
