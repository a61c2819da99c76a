"""Robustness: what becomes of the scores under damage that a network was not trained on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from gan_restore.data.datasets import Images
from gan_restore.evaluation.pairs import Pairs
from gan_restore.evaluation.table import Method, evaluate
from gan_restore.recipes.base import Recipe


def robustness_sweep(
    recipe: Recipe, images: Images, methods: Sequence[Method], limit: int = 3, crop: int = 192
) -> dict[str, list[float]]:
    """Mean PSNR of each method while one setting of the damage takes the values in `Recipe.robustness`.

    Degraded images that the data set has of its own are not used, because their damage cannot be varied: the clean
    images get the recipe's damage.

    Args:
        recipe: the recipe that the networks were trained by.
        images: clean test images.
        methods: the methods to compare; no oracles.
        limit: number of images, a sample drawn with the recipe's seed; 0 takes all.
        crop: side in pixels; of a larger image only the central crop x crop pixels are used. 0 uses all.

    Returns:
        Name of the method -> PSNR in dB, one for each value of the setting.

    Example:
        >>> from gan_restore import evaluation, recipes
        >>> recipe = recipes.get("unet-denoiser", "smoke")
        >>> images, methods = recipe.images("test"), evaluation.methods(recipe)[:1]
        >>> sweep = robustness_sweep(recipe, images, methods, limit=1, crop=32)
        >>> len(sweep["degraded input"]) == len(recipe.robustness[1])
        True
    """
    field, values = recipe.robustness
    sample = dataclasses.replace(images.sample(limit, recipe.seed), degraded=None)
    sweep: dict[str, list[float]] = {method.name: [] for method in methods}
    for value in values:
        change: dict[str, Any] = {field: value}
        varied = dataclasses.replace(recipe, **change)
        for row in evaluate(methods, Pairs(sample, varied, crop), varied, images.source):
            sweep[row["method"]].append(row["psnr"])
    return sweep
