"""Test images with their damage, made one at a time, and the scores of what a method makes of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import torch
from torch import Tensor

from gan_restore.baselines.base import Restoration
from gan_restore.data.datasets import Images
from gan_restore.degradations.base import random_seed, seeded
from gan_restore.files import UserError
from gan_restore.metrics.fidelity import METRICS, SSIM_WINDOW, luma
from gan_restore.recipes.base import Recipe

Channel = Literal["RGB", "Y"]

BATCH_IMAGES = 16
"""The most images in one batch."""

BATCH_PIXELS = 2**20
"""The most pixels held at a time. A larger image is a batch of its own."""


@dataclass(frozen=True)
class Pair:
    """A clean test image and its degraded version; or N of them, if all have the same shape.

    Attributes:
        name: the image's name in its data set.
        clean: N x 3 x H x W in [0, 1].
        degraded: N x 3 x H/factor x W/factor in [0, 1], with the recipe's factor.
        mask: N x 1 x H x W in [0, 1], how much of each pixel is damaged; None if that is not known.
        damage: the degradation and its seed, as text for tables.
    """

    name: str
    clean: Tensor
    degraded: Tensor
    mask: Tensor | None = None
    damage: str = ""


class Pairs(Sequence[Pair]):
    """The images of a data set with a recipe's damage. A pair is made each time it is asked for, and not kept.

    The damage of image i depends on the recipe's seed and on i alone, so it is the same at every call and for
    every method. Clean images are prepared as `Recipe.preparation` says. If the data set brings its own degraded
    images, those are used.

    Args:
        images: the clean images.
        recipe: says how images are prepared and damaged.
        crop: side in pixels; of a larger image only the central crop x crop pixels are used. 0 uses all.

    Example:
        >>> from gan_restore import recipes
        >>> recipe = recipes.get("unet-denoiser", "smoke")
        >>> pairs = Pairs(recipe.images("test"), recipe, crop=64)
        >>> len(pairs), pairs[0].name, pairs[0].degraded.shape
        (3, 'astronaut.png', torch.Size([1, 3, 64, 64]))
    """

    def __init__(self, images: Images, recipe: Recipe, crop: int = 0) -> None:
        self.images, self.recipe, self.crop = images, recipe, crop

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        """Pair `index`, 1 x 3 x H x W, or the list of a slice of them.

        Raises:
            IndexError: if there is no such image.
            UserError: if the image is smaller than the window of SSIM.
        """
        chosen = range(len(self))[index]
        return self._pair(chosen) if isinstance(chosen, int) else [self._pair(i) for i in chosen]

    def _pair(self, index: int) -> Pair:
        recipe, name = self.recipe, self.images.names[index]
        clean, degraded = self.images.pair(index, recipe.enlarge_to, self.crop)
        height, width = (side - side % recipe.factor for side in clean.shape[-2:])
        if min(height, width) < SSIM_WINDOW + 2 * recipe.crop_border:
            raise UserError(f"{name} has {width} x {height} pixels, too few for SSIM; remove it from the images")
        clean = clean[..., :height, :width].contiguous()
        if degraded is not None:
            return Pair(name, clean, degraded, None, "the data set's own pairs")
        degradation, generator = recipe.degradation(), seeded(random_seed(recipe.seed, 5, index))
        damage, mask = f"{degradation!r}, seed {recipe.seed}", None
        if recipe.oracles() and hasattr(degradation, "with_mask"):
            degraded, mask = degradation.with_mask(clean, generator)
        else:
            degraded = degradation(clean, generator)
        return Pair(name, clean, degraded, mask, damage)


def batches(pairs: Iterable[Pair]) -> Iterator[tuple[list[int], Pair]]:
    """Stack pairs of equal shape, holding `BATCH_PIXELS` of clean pixels at a time, or one larger image.

    Returns:
        The positions of up to `BATCH_IMAGES` pairs, and these as one `Pair` of N images. Every pair comes once.
    """
    held: list[tuple[int, Pair]] = []
    pixels = 0
    for position, pair in enumerate(pairs):
        size = pair.clean[0, 0].numel()
        if held and pixels + size > BATCH_PIXELS:
            yield from _stacked(held)
            held, pixels = [], 0
        held.append((position, pair))
        pixels += size
        if pixels >= BATCH_PIXELS:  # before the next pair is made, so that no two large ones are held
            yield from _stacked(held)
            held, pixels = [], 0
    yield from _stacked(held)


def _stacked(held: list[tuple[int, Pair]]) -> Iterator[tuple[list[int], Pair]]:
    groups: dict[torch.Size, list[tuple[int, Pair]]] = {}
    for position, pair in held:
        groups.setdefault(pair.clean.shape, []).append((position, pair))
    for group in groups.values():
        for start in range(0, len(group), BATCH_IMAGES):
            positions, pairs = zip(*group[start : start + BATCH_IMAGES], strict=True)
            if len(pairs) == 1:  # not copied: it may be large
                yield list(positions), pairs[0]
                continue
            masks = [pair.mask for pair in pairs if pair.mask is not None]
            yield (
                list(positions),
                Pair(
                    pairs[0].name,
                    torch.cat([pair.clean for pair in pairs]),
                    torch.cat([pair.degraded for pair in pairs]),
                    torch.cat(masks) if len(masks) == len(pairs) else None,
                    pairs[0].damage,
                ),
            )


def score(restored: Tensor, clean: Tensor, crop_border: int = 0, channel: Channel = "RGB") -> dict[str, Tensor]:
    """Every metric of every image: name -> N values.

    Images are measured as floats. Files hold 8 bits, and so do most published numbers; rounding to them would
    lower a PSNR of 30 dB by 0.006 dB and one of 40 dB by 0.05 dB.

    Args:
        restored, clean: N x 3 x H x W in [0, 1].
        crop_border: pixels that are left out at each side.
        channel: "Y" measures the luma only, as is usual in super-resolution (`metrics.luma`).

    Example:
        >>> images = torch.rand(2, 3, 16, 16)
        >>> score(images, images)["psnr"]
        tensor([100., 100.], dtype=torch.float64)
    """
    height, width = clean.shape[-2:]
    rows, columns = slice(crop_border, height - crop_border), slice(crop_border, width - crop_border)
    restored, clean = ((luma(x) if channel == "Y" else x)[..., rows, columns] for x in (restored, clean))
    return {name: metric(restored, clean) for name, metric in METRICS.items()}


@torch.no_grad()
def measure(
    restore: Restoration, pairs: Sequence[Pair], recipe: Recipe, chosen: Sequence[int] | None = None
) -> dict[str, list[float]]:
    """Restore every pair and score it by the recipe's protocol: metric -> one value an image. Keeps no image.

    Args:
        restore: the method.
        pairs: the test images.
        recipe: has the channel and the border that is left out.
        chosen: the pairs to measure, by their positions; None measures all.
    """
    chosen = range(len(pairs)) if chosen is None else chosen
    scores: dict[str, list[float]] = {name: [0.0] * len(chosen) for name in METRICS}
    for positions, batch in batches(pairs[index] for index in chosen):
        restored = restore(batch.degraded).to(batch.clean)
        for name, values in score(restored, batch.clean, recipe.crop_border, recipe.channel).items():
            for position, value in zip(positions, values.tolist(), strict=True):
                scores[name][position] = value
    return scores
