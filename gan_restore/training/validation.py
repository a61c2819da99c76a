"""Validation: the scores of a generator on images that it is not trained on."""

from typing import Any

import numpy as np
from torch import nn

from gan_restore.data.datasets import Images
from gan_restore.evaluation.pairs import Pairs, measure
from gan_restore.recipes.base import Recipe

CROP = 256


class Validation:
    """Scores generators on a fixed sample of the validation images, always with the same damage.

    Large images are cropped to their central 256 x 256 pixels.

    Args:
        images: the validation split.
        recipe: chooses the damage, the metric's channel and border, and the size of the sample (`val_images`).
    """

    def __init__(self, images: Images, recipe: Recipe) -> None:
        self.recipe = recipe
        sampled = images.sample(recipe.val_images, recipe.seed)
        self.pairs = Pairs(sampled, recipe, crop=CROP)
        self.images: dict[str, Any] = {"split": "val", "n_images": len(sampled), "seed": recipe.seed}
        """What is validated on: the split, the size of the sample and its seed; for a checkpoint's metadata."""

    def scores(self, generator: nn.Module) -> dict[str, float]:
        """Mean PSNR in dB (val_psnr) and SSIM (val_ssim) over the images, the generator in evaluation mode."""
        device = next(generator.parameters()).device
        was_training = generator.training
        generator.eval()
        scores = measure(lambda degraded: generator(degraded.to(device)), self.pairs, self.recipe)
        generator.train(was_training)
        return {f"val_{name}": float(np.mean(scores[name])) for name in ("psnr", "ssim")}
