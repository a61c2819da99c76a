"""The learning rates of each step."""

import math

from gan_restore.recipes.base import Recipe


def learning_rates(recipe: Recipe, step: int, first_stage: int, total: int) -> tuple[float, float]:
    """The learning rates of generator and discriminator in a step.

    "cosine" lowers them to zero over each stage; "step" divides them by 10 halfway through the last stage.

    Args:
        recipe: has the rates at the start of each stage, and `lr_decay`.
        step: the number of steps before this one.
        first_stage: number of steps of the first stage; 0 if there is one stage only.
        total: number of steps of the run.

    Example:
        >>> from gan_restore import recipes
        >>> recipe = recipes.get("unet-denoiser", "full", lr_decay="cosine")
        >>> learning_rates(recipe, step=50, first_stage=0, total=100)
        (0.0005, 0.0005)
    """
    start, end, rate = 0, first_stage or total, recipe.learning_rate
    if recipe.two_stages and step >= first_stage:
        start, end, rate = first_stage, total, recipe.adversarial_learning_rate or rate
    decay = 1.0
    if recipe.lr_decay == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * (step - start) / (end - start)))
    elif recipe.lr_decay == "step" and end == total and step >= (start + end) / 2:
        decay = 0.1
    return rate * decay, (recipe.discriminator_learning_rate or rate) * decay
