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

from gan_restore.baselines import Restorer
from gan_restore.checkpoints import PRETRAINED, load_generator
from gan_restore.data import Images, Part
from gan_restore.degradations import random_seed, seeded
from gan_restore.devices import Compute
from gan_restore.files import UserError
from gan_restore.images import by_shape
from gan_restore.metrics import METRICS, NORMALISED_PSNR_CAP, estimated_mos, luma, mean_shift, normalised_psnr
from gan_restore.recipe import Recipe

Kind = Literal["input", "classical", "learned", "oracle"]
Channel = Literal["RGB", "Y"]
Row = dict[str, Any]
Oracle = Callable[[Tensor, Tensor], Tensor]

TITLES: dict[Kind, str] = {
    "input": "input",
    "classical": "classical",
    "learned": "learned",
    "oracle": "oracle: knows the mask",
}
"""What a kind is called in a table; an oracle is told what no real photo tells, so it competes with nobody."""


@dataclass(frozen=True)
class Contender:
    """A restorer with the name and kind that it has in tables and figures.

    An oracle's `restore` takes (degraded, mask), every other one (degraded).
    """

    name: str
    kind: Kind
    restore: Restorer | Oracle


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
    restore: Restorer | Oracle,
    pairs: Sequence[Pair],
    label: str = "",
    *,
    with_mask: bool = False,
) -> list[Tensor]:
    """The restored image of every pair, on the CPU; with `with_mask`, `restore` is given the mask too."""
    restored: list[Tensor] = [torch.empty(0)] * len(pairs)
    with tqdm(total=len(pairs), desc=label, unit="image", leave=False, disable=not label) as progress:
        for positions, batch in by_shape([pair.degraded for pair in pairs]):
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
    for positions, clean in by_shape([pair.clean for pair in pairs]):
        batch = torch.cat([restored[i] for i in positions])
        inner = (..., *(slice(crop_border, side - crop_border) for side in clean.shape[-2:]))
        batch, clean = ((luma(x) if channel == "Y" else x)[inner] for x in (batch, clean))
        for name, metric in METRICS.items():
            for position, value in zip(positions, metric(batch, clean).tolist(), strict=True):
                scores[name][position] = value
    return scores


def contenders(recipe: Recipe, pairs: Sequence[Pair] = ()) -> list[Contender]:
    """The degraded input and every classical restorer for this damage.

    Args:
        pairs: with these, the oracles take part too, if the damage of every pair is known.
    """
    rows = [Contender(recipe.input_name, "input", recipe.as_input)]
    rows += [Contender(name, "classical", restore) for name, restore in recipe.baselines().items()]
    if pairs and all(pair.mask is not None for pair in pairs):
        rows += [Contender(name, "oracle", restore) for name, restore in recipe.oracles().items()]
    return rows


def evaluate(
    restorers: Sequence[Contender],
    pairs: Sequence[Pair],
    recipe: Recipe,
    data: str,
    keep: Callable[[str, list[Tensor]], None] | None = None,
) -> list[Row]:
    """Run every restorer over every pair; one row each, means over images.

    PSNR is the mean of the images' PSNRs; that of the mean error is -10 log10(mse). PSNR, SSIM and MSE follow
    the recipe's protocol (channel, cropped border, range [0, 1]); the mean shift is always that of the whole
    image in RGB, since luma hides a colour cast.

    Args:
        data: what to call the test images in the table.
        keep: is given each restorer's name and restored images, for figures.

    Returns:
        Rows with restorer, kind, data, n_images, psnr (dB), ssim, mse, normalised_psnr, estimated_mos,
        mean_shift (of R, G and B, in 1/255), channel, crop_border, range, damage, seed and seconds_per_image.

    Example:
        >>> pairs = make_pairs(recipe.images("test"), recipe)
        >>> evaluate(contenders(recipe, pairs), pairs, recipe, "test photos")
    """
    if not pairs:
        raise UserError("no test images to evaluate on")
    inputs = score(restore_all(recipe.as_input, pairs), pairs, recipe.crop_border, recipe.channel)
    rows = []
    for contender in restorers:
        started = time.perf_counter()
        oracle = contender.kind == "oracle"
        restored = restore_all(contender.restore, pairs, contender.name, with_mask=oracle)
        seconds = time.perf_counter() - started
        if keep:
            keep(contender.name, restored)
        rows.append(
            {"restorer": contender.name, "kind": contender.kind, "data": data, "n_images": len(pairs)}
            | _means(restored, pairs, recipe, torch.tensor(inputs["psnr"]))
            | {"channel": recipe.channel, "crop_border": recipe.crop_border, "range": "[0, 1]"}
            | {"damage": pairs[0].damage, "seed": recipe.seed}
            | {"seconds_per_image": seconds / len(pairs)}
        )
    return rows


def _means(restored: Sequence[Tensor], pairs: Sequence[Pair], recipe: Recipe, input_psnr: Tensor) -> Row:
    scores = score(restored, pairs, recipe.crop_border, recipe.channel)
    own_psnr = torch.tensor(scores["psnr"])
    shifts = [mean_shift(image, pair.clean) for image, pair in zip(restored, pairs, strict=True)]
    return {name: sum(values) / len(values) for name, values in scores.items()} | {
        "normalised_psnr": normalised_psnr(own_psnr, input_psnr).mean().item(),
        "estimated_mos": estimated_mos(own_psnr).float().mean().item(),
        "mean_shift": torch.cat(shifts).mean(0).tolist(),
    }


def best(rows: Sequence[Row], kind: Kind) -> Row:
    """The row of the highest PSNR among those of one kind.

    Raises:
        ValueError: if there is none.

    Example:
        >>> best(rows, "learned")["psnr"] - best(rows, "classical")["psnr"]
    """
    return max((row for row in rows if row["kind"] == kind), key=lambda row: row["psnr"])


def on_device(generator: nn.Module, compute: Compute | None = None) -> Restorer:
    """A trained generator as a restorer: any batch in, the restored batch out on the batch's own device."""
    fabric = (compute or Compute()).fabric()
    module = fabric.setup_module(generator.eval().to(memory_format=torch.channels_last))

    @torch.no_grad()
    def restore(degraded: Tensor) -> Tensor:
        return module(degraded.to(fabric.device)).to(degraded)

    return restore


def trained(path: str | Path, compute: Compute | None = None) -> list[Contender]:
    """The generator of a checkpoint or run folder; of a run of two stages, that of the first stage before it.

    Raises:
        UserError: if there is no checkpoint.

    Example:
        >>> evaluate(contenders(recipe, pairs) + trained("runs/srgan-smoke"), pairs, recipe, "test photos")
    """
    generator, recipe, _ = load_generator(path)
    rows = [Contender(recipe.name, "learned", on_device(generator, compute))]
    if (Path(path) / PRETRAINED).is_file():
        first = on_device(load_generator(Path(path) / PRETRAINED)[0], compute)
        rows.insert(0, Contender(f"{recipe.name}, pixel loss only", "learned", first))
    return rows


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
    _, recipe, facts = load_generator(path)
    recipe = dataclasses.replace(recipe, data=data or recipe.data)
    if recipe.data is None and facts.get("own_data"):
        raise UserError(f"{path} was trained on a data set of its own; name the images to evaluate on by --data")
    if limit < 0:
        raise UserError(f"limit must be at least 0, not {limit}")
    images = recipe.images(part, skip_unreadable=skip_unreadable)
    pairs = make_pairs(images, recipe, limit)
    return evaluate(contenders(recipe, pairs) + trained(path, compute), pairs, recipe, f"{images.source} ({part})")


def as_text(rows: Sequence[Row]) -> str:
    """The rows as an aligned text table, best PSNR last, and the protocol below it."""
    rows = sorted(rows, key=lambda row: row["psnr"])
    width = max(len(row["restorer"]) for row in rows)
    kind_width = max(len(TITLES[row["kind"]]) for row in rows)
    lines = [
        f"{'restorer':{width}}  {'kind':{kind_width}}  PSNR dB     SSIM       MSE  /input  MOS*"
        "  shift R,   G,   B  s/image"
    ]
    lines += [
        f"{row['restorer']:{width}}  {TITLES[row['kind']]:{kind_width}}  {row['psnr']:7.2f}  {row['ssim']:7.5f}"
        f"  {row['mse']:.2e}  {row['normalised_psnr']:6.3f}  {row['estimated_mos']:4.2f}"
        f"    {' '.join(format(shift, '+5.1f') for shift in row['mean_shift'])}  {row['seconds_per_image']:7.3f}"
        for row in rows
    ]
    first = rows[0]
    lines += [
        f"{first['n_images']} images: {first['data']}; {first['channel']}, range {first['range']}, "
        f"{first['crop_border']} pixels of border left out; {first['damage']}",
        f"/input: PSNR over that of the input (at most {NORMALISED_PSNR_CAP:g}); MOS*: opinion estimated from "
        "PSNR, 1 to 5, nobody was asked; shift: mean of restored - clean in 1/255, RGB, whole image",
    ]
    return "\n".join(lines)
