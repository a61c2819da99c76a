"""A trained generator applied to batches, photos and image files."""

import dataclasses
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_restore.images import Photo, read_photo, write
from gan_restore.inference.checkpoints import load_generator
from gan_restore.inference.devices import Compute
from gan_restore.inference.scales import restore_over_scales
from gan_restore.inference.tones import keep_tone
from gan_restore.recipes.base import Recipe


class Restorer:
    """A trained generator on a device, as a function degraded -> restored.

    Args:
        generator: a network N x 3 x H x W -> N x 3 x factor H x factor W, both in [0, 1].
        compute: the device and precision; by default a GPU if there is one.
        recipe: the recipe of the generator. It says whether large images are restored over scales
            (`Recipe.over_scales`) and whether gray photos stay gray (`Recipe.keep_tone`); without it, the generator
            is applied to the image as it is.

    Example:
        >>> from gan_restore import recipes
        >>> restorer = Restorer(recipes.get("srgan", "smoke").generator())
        >>> restorer(torch.rand(1, 3, 20, 30)).shape
        torch.Size([1, 3, 40, 60])
    """

    def __init__(self, generator: nn.Module, compute: Compute | None = None, recipe: Recipe | None = None) -> None:
        self._over_scales = recipe.over_scales if recipe else 0
        self._keep_tone = recipe.keep_tone if recipe else False
        self._fabric = (compute or Compute()).fabric()
        self.generator = generator
        """The network itself, on its device and in evaluation mode."""
        self._module = self._fabric.setup_module(generator.eval().to(memory_format=torch.channels_last))

    @torch.no_grad()
    def __call__(self, degraded: Tensor) -> Tensor:
        """Restore a batch N x 3 x H x W in [0, 1].

        Returns:
            N x 3 x factor H x factor W in [0, 1], float32, on the device that the batch is on.
        """
        images = degraded.to(self._fabric.device)
        if self._over_scales:
            restored = restore_over_scales(self._module, images, self._over_scales)
        else:
            restored = self._module(images)
        return (keep_tone(images, restored) if self._keep_tone else restored).to(degraded)


def load_restorer(checkpoint: str | Path, compute: Compute | None = None) -> Restorer:
    """Load a checkpoint, `best.safetensors` of a run folder, or a model that is part of the package.

    Args:
        checkpoint: the file, the run folder, or the model's name, as `load_generator` takes them.
        compute: the device and precision.

    Raises:
        UserError: if there is no such checkpoint or model, or no such device.
    """
    generator, recipe, _ = load_generator(checkpoint)
    return Restorer(generator, compute, recipe)


def restore_photo(photo: Photo, restorer: Restorer) -> Photo:
    """Restore a photo. Transparency, gray mode, bit depth and metadata are kept; super-resolution enlarges it."""
    rgb, alpha = restorer(photo.rgb), photo.alpha
    if alpha is not None and alpha.shape[-2:] != rgb.shape[-2:]:
        alpha = F.interpolate(alpha, size=rgb.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha)


def restore_file(source: str | Path, target: str | Path, restorer: Restorer) -> None:
    """Restore one image file into another.

    Raises:
        UserError: if the source cannot be read or the target cannot be written.
    """
    write(target, restore_photo(read_photo(source), restorer))
