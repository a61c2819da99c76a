"""Checks of the answers to the exercises, each with a sentence for the mistakes that are usual."""

from collections.abc import Callable
from typing import Any

from gan_restore.exercises.functions import (
    enlarge,
    generator_loss,
    inpainting,
    mean_and_spread,
    psnr,
    receptive_field,
    self_ensemble,
)
from gan_restore.exercises.networks import residual_block, training_step
from gan_restore.files import UserError, did_you_mean

Check = Callable[[Any], str]
"""answer -> what is wrong with it, or an empty string."""

EXERCISES: dict[str, tuple[Check, str]] = {
    "psnr": (psnr, "the values are those of gan_restore.psnr."),
    "residual_block": (residual_block, "with the same weights the block equals the library's."),
    "receptive_field": (receptive_field, "70 pixels for PatchGAN, and the right size for other stacks too."),
    "generator_loss": (generator_loss, "the values and the gradients are those of gan_restore.generator_loss."),
    "inpainting": (inpainting, "holes get the mean of their known neighbours, and the rest is unchanged."),
    "enlarge": (enlarge, "each pixel becomes a square of equal pixels."),
    "self_ensemble": (self_ensemble, "the result is the mean of both answers."),
    "mean_and_spread": (mean_and_spread, "the mean and the standard deviation of the sample."),
    "training_step": (training_step, "two steps leave both networks with the weights that the library's give."),
}
"""The check of each exercise, and what the learner reads when the answer is right."""


class WrongAnswer(AssertionError):
    """An answer to an exercise is wrong; the message says why."""


def check(name: str, answer: Any) -> None:
    """Check the answer to an exercise and print that it is right.

    Args:
        name: one of `EXERCISES`.
        answer: the function or class to check; the check of that name says how it is called.

    Raises:
        WrongAnswer: if the answer is wrong, with one line that says why.
        UserError: if there is no such exercise.
    """
    if name not in EXERCISES:
        raise UserError(
            f"no exercise '{name}'{did_you_mean(name, EXERCISES)}; choose one of {', '.join(EXERCISES)}"
        )
    find, praise = EXERCISES[name]
    if answer is ...:
        raise WrongAnswer("Not yet: replace the `...` by your code.")
    try:
        wrong = find(answer)
    except NotImplementedError:
        raise WrongAnswer("Not yet: replace the line `raise NotImplementedError` by your code.") from None
    except Exception as error:  # of the learner's code, which can be any
        raise WrongAnswer(f"Not yet: your code raises {type(error).__name__}: {error}") from error
    if wrong:
        raise WrongAnswer(f"Not yet: {wrong}")
    print(f"Right: {praise}")


def feedback(name: str, answer: Any) -> None:
    """Check the answer to an exercise and print that it is right or what is wrong; arguments as in `check`."""
    try:
        check(name, answer)
    except WrongAnswer as wrong:
        print(wrong)
