"""What a step trains on: a batch of clean crops, and the same crops degraded."""

import torch
from torch import Tensor

from gan_restore.degradations.base import random_seed, seeded
from gan_restore.degradations.prints import toned
from gan_restore.images import enlarge_to, to_tensor
from gan_restore.recipes.base import Recipe


def degraded_and_clean(
    batch: Tensor, recipe: Recipe, step: int, rank: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Move a batch to the device and degrade it; the damage depends on (seed, step, rank) only.

    Args:
        batch: uint8 crops as `Batches` makes them, N x C x H x W; C is 2 or 6 for pairs of the data set.
        recipe: chooses the damage, unless the data set has pairs; the tones of both; and which are undamaged.
        step: the number of the step.
        rank: the number of the process.
        device: where to compute.

    Returns:
        The degraded and the clean images, floats N x 3 x H x W in [0, 1]; the degraded ones are smaller in
        super-resolution.
    """
    images = enlarge_to(to_tensor(batch.to(device, non_blocking=True)), recipe.image_size)
    clean, *own = (
        part.expand(-1, 3, -1, -1).contiguous()
        for part in (images.chunk(2, dim=1) if images.shape[1] in (2, 6) else (images,))
    )

    def random(purpose: int) -> torch.Generator:
        return seeded(random_seed(recipe.seed, purpose, step, rank), device)

    if recipe.toned:  # both images of a pair in the same tone
        clean, *own = (toned(image, recipe.toned, random(6)) for image in (clean, *own))
    damage = random(4)
    degraded = own[0] if own else recipe.degradation()(clean, damage)
    if recipe.undamaged:
        spared = torch.rand(len(clean), 1, 1, 1, generator=damage, device=device) < recipe.undamaged
        degraded = torch.where(spared, clean, degraded)
    return degraded, clean
