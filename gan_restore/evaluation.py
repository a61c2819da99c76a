"""Restorers x test images -> one table. Learned or classical, every restorer sees the same damage."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from gan_restore.baselines import Restorer, unchanged
from gan_restore.checkpoints import load_generator
from gan_restore.data import Images, Part
from gan_restore.degradations import Degradation, random_seed, seeded
from gan_restore.devices import Compute
from gan_restore.files import UserError
from gan_restore.images import by_shape
from gan_restore.metrics import METRICS
from gan_restore.recipe import Recipe

Kind = Literal["input", "classical", "learned"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """A restorer with the name and kind that it has in tables and figures."""

    name: str
    kind: Kind
    restore: Restorer


@dataclass(frozen=True)
class Pair:
    """One test image and what the damage made of it, 1 x 3 x H x W each."""

    name: str
    clean: Tensor
    degraded: Tensor


def make_pairs(images: Images, recipe: Recipe, limit: int = 0, crop: int = 0) -> list[Pair]:
    """Damage the clean images as the recipe does; image i by a seed of its own, so batches do not matter.

    Args:
        limit: take only the first so many images; 0 takes all.
        crop: take only the central crop x crop pixels of larger images; 0 takes all of them.
    """
    degradation: Degradation = recipe.degradation()
    pairs = []
    for i in range(min(len(images), limit or len(images))):
        clean = images.clean(i, recipe.image_size, crop)
        pairs.append(Pair(images.names[i], clean, degradation(clean, seeded(random_seed(recipe.seed, 5, i)))))
    return pairs


@torch.no_grad()
def restore_all(restore: Restorer, pairs: Sequence[Pair], label: str = "", batch_size: int = 16) -> list[Tensor]:
    """The restored image of every pair, on the CPU."""
    restored: list[Tensor] = [torch.empty(0)] * len(pairs)
    with tqdm(total=len(pairs), desc=label, unit="image", leave=False, disable=not label) as progress:
        for positions, batch in by_shape([pair.degraded for pair in pairs], batch_size):
            for position, image in zip(positions, restore(batch).cpu().split(1), strict=True):
                restored[position] = image
            progress.update(len(positions))
    return restored


def score(restored: Sequence[Tensor], pairs: Sequence[Pair], crop_border: int = 0) -> dict[str, list[float]]:
    """Every metric for every image, `crop_border` pixels at each side left out."""
    scores: dict[str, list[float]] = {name: [0.0] * len(pairs) for name in METRICS}
    for positions, clean in by_shape([pair.clean for pair in pairs]):
        batch = torch.cat([restored[i] for i in positions])
        inner = (..., *(slice(crop_border, side - crop_border) for side in clean.shape[-2:]))
        for name, metric in METRICS.items():
            for position, value in zip(positions, metric(batch[inner], clean[inner]).tolist(), strict=True):
                scores[name][position] = value
    return scores


def contenders(recipe: Recipe, learned: Restorer | None = None) -> list[Contender]:
    """The degraded input, every classical restorer for this damage, and the learned one if it is given."""
    rows = [Contender("degraded input", "input", unchanged)]
    rows += [Contender(name, "classical", restore) for name, restore in recipe.baselines().items()]
    return rows + ([Contender(recipe.name, "learned", learned)] if learned else [])


def evaluate(
    restorers: Sequence[Contender],
    pairs: Sequence[Pair],
    recipe: Recipe,
    data: str,
    keep: Callable[[str, list[Tensor]], None] | None = None,
) -> list[Row]:
    """Run every restorer over every pair; one row each, means over images.

    PSNR is the mean of the images' PSNRs; that of the mean error is -10 log10(mse).

    Args:
        data: what to call the test images in the table.
        keep: is given each restorer's name and restored images, for figures.

    Returns:
        Rows with restorer, kind, data, n_images, psnr (dB), ssim, mse, channel, crop_border, range, damage,
        seed and seconds_per_image.

    Example:
        >>> pairs = make_pairs(recipe.images("test"), recipe)
        >>> evaluate(contenders(recipe), pairs, recipe, "test photos")
    """
    if not pairs:
        raise UserError("no test images to evaluate on")
    rows = []
    for contender in restorers:
        started = time.perf_counter()
        restored = restore_all(contender.restore, pairs, contender.name)
        seconds = time.perf_counter() - started
        if keep:
            keep(contender.name, restored)
        scores = score(restored, pairs, recipe.crop_border)
        rows.append(
            {"restorer": contender.name, "kind": contender.kind, "data": data, "n_images": len(pairs)}
            | {name: sum(values) / len(values) for name, values in scores.items()}
            | {"channel": "RGB", "crop_border": recipe.crop_border, "range": "[0, 1]"}
            | {"damage": repr(recipe.degradation()), "seed": recipe.seed}
            | {"seconds_per_image": seconds / len(pairs)}
        )
    return rows


def on_device(generator: nn.Module, compute: Compute | None = None) -> Restorer:
    """A trained generator as a restorer: any batch in, the restored batch out on the batch's own device."""
    fabric = (compute or Compute()).fabric()
    module = fabric.setup_module(generator.eval().to(memory_format=torch.channels_last))

    @torch.no_grad()
    def restore(degraded: Tensor) -> Tensor:
        return module(degraded.to(fabric.device)).to(degraded)

    return restore


def evaluate_checkpoint(
    path: str | Path,
    data: str | None = None,
    part: Part = "test",
    limit: int = 0,
    compute: Compute | None = None,
    *,
    skip_unreadable: bool = False,
) -> list[Row]:
    """The table for a checkpoint or run folder, on `data` or what the run was trained on.

    Raises:
        UserError: if the checkpoint or the data cannot be read.
    """
    generator, recipe, facts = load_generator(path)
    recipe = dataclasses.replace(recipe, data=data or recipe.data)
    if recipe.data is None and facts.get("own_data"):
        raise UserError(f"{path} was trained on a data set of its own; name the images to evaluate on by --data")
    if limit < 0:
        raise UserError(f"limit must be at least 0, not {limit}")
    images = recipe.images(part, skip_unreadable=skip_unreadable)
    pairs = make_pairs(images, recipe, limit)
    learned = on_device(generator, compute)
    return evaluate(contenders(recipe, learned), pairs, recipe, f"{images.source} ({part})")


def as_text(rows: Sequence[Row]) -> str:
    """The rows as an aligned text table, best PSNR last."""
    rows = sorted(rows, key=lambda row: row["psnr"])
    width = max(len(row["restorer"]) for row in rows)
    lines = [f"{'restorer':{width}}  kind       PSNR dB    SSIM       MSE       s/image"]
    lines += [
        f"{row['restorer']:{width}}  {row['kind']:9}  {row['psnr']:7.2f}  {row['ssim']:8.5f}  {row['mse']:.2e}"
        f"  {row['seconds_per_image']:7.3f}"
        for row in rows
    ]
    first = rows[0]
    lines.append(
        f"{first['n_images']} images: {first['data']}; {first['channel']}, range {first['range']}, "
        f"{first['crop_border']} pixels of border left out; {first['damage']}, seed {first['seed']}"
    )
    return "\n".join(lines)
