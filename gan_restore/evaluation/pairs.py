"""Test images with their damage, restored and scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gan_restore.baselines.base import Restoration
from gan_restore.data.datasets import Images
from gan_restore.degradations.base import random_seed, seeded
from gan_restore.images import group_by_shape
from gan_restore.metrics.fidelity import METRICS, luma
from gan_restore.recipes.base import Recipe

Channel = Literal["RGB", "Y"]


Oracle = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    """One test image and what the damage made of it, 1 x 3 x H x W each.

    Attributes:
        degraded: smaller than `clean` by the recipe's factor.
        mask: 1 x 1 x H x W in [0, 1], how much of each pixel is damaged, where the damage tells.
        damage: what was done to it.
    """

    name: str
    clean: Tensor
    degraded: Tensor
    mask: Tensor | None = None
    damage: str = ""


def make_pairs(images: Images, recipe: Recipe, limit: int = 0, crop: int = 0) -> list[Pair]:
    """Damage the clean images as the recipe does; image i by a seed of its own, so batches do not matter.

    Clean images are cut at the bottom and right to multiples of the recipe's factor. A data set that brings
    its own damaged images is taken as it is.

    Args:
        limit: take only the first so many images; 0 takes all.
        crop: take only the central crop x crop pixels of larger images; 0 takes all of them.
    """
    pairs = []
    for i in range(min(len(images), limit or len(images))):
        clean, degraded = images.pair(i, recipe.image_size, crop)
        height, width = (side - side % recipe.factor for side in clean.shape[-2:])
        clean, mask, damage = clean[..., :height, :width].contiguous(), None, "the data set's own pairs"
        if degraded is None:
            degraded, mask = _damage(recipe, clean, random_seed(recipe.seed, 5, i))
            damage = f"{recipe.degradation()!r}, seed {recipe.seed}"
        pairs.append(Pair(images.names[i], clean, degraded, mask, damage))
    return pairs


def _damage(recipe: Recipe, clean: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
    degradation = recipe.degradation()
    if recipe.oracles():
        return degradation.with_mask(clean, seeded(seed))
    return degradation(clean, seeded(seed)), None


@torch.no_grad()
def restore_all(
    restore: Restoration | Oracle,
    pairs: Sequence[Pair],
    label: str = "",
    *,
    with_mask: bool = False,
) -> list[Tensor]:
    """The restored image of every pair, on the CPU; with `with_mask`, `restore` is given the mask too."""
    restored: list[Tensor] = [torch.empty(0)] * len(pairs)
    with tqdm(total=len(pairs), desc=label, unit="image", leave=False, disable=not label) as progress:
        for positions, batch in group_by_shape([pair.degraded for pair in pairs]):
            masks = [torch.cat([pairs[i].mask for i in positions])] if with_mask else []
            for position, image in zip(positions, restore(batch, *masks).cpu().split(1), strict=True):
                restored[position] = image
            progress.update(len(positions))
    return restored


def score(
    restored: Sequence[Tensor], pairs: Sequence[Pair], crop_border: int = 0, channel: Channel = "RGB"
) -> dict[str, list[float]]:
    """Every metric for every image, `crop_border` pixels at each side left out.

    Images are measured as floats. Files hold 8 bits, and so do most published numbers; rounding to them would
    lower a PSNR of 30 dB by 0.006 dB and one of 40 dB by 0.05 dB.

    Args:
        channel: "Y" measures the luma only, as super-resolution does (`metrics.luma`).
    """
    scores: dict[str, list[float]] = {name: [0.0] * len(pairs) for name in METRICS}
    for positions, clean in group_by_shape([pair.clean for pair in pairs]):
        batch = torch.cat([restored[i] for i in positions])
        inner = (..., *(slice(crop_border, side - crop_border) for side in clean.shape[-2:]))
        batch, clean = ((luma(x) if channel == "Y" else x)[inner] for x in (batch, clean))
        for name, metric in METRICS.items():
            for position, value in zip(positions, metric(batch, clean).tolist(), strict=True):
                scores[name][position] = value
    return scores
