"""Methods x test images -> one table. Learned or classical, every method sees the same damage."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gan_restore.baselines.base import Restoration
from gan_restore.data.layouts import Split
from gan_restore.evaluation.pairs import Oracle, Pair, make_pairs, restore_all, score
from gan_restore.files import UserError
from gan_restore.inference.checkpoints import PRETRAINED, load_generator
from gan_restore.inference.devices import Compute
from gan_restore.inference.restorer import Restorer
from gan_restore.metrics.fidelity import NORMALISED_PSNR_CAP, estimated_mos, mean_shift, normalised_psnr
from gan_restore.recipes.base import Recipe

Kind = Literal["input", "classical", "learned", "oracle"]


Row = dict[str, Any]


TITLES: dict[Kind, str] = {
    "input": "input",
    "classical": "classical",
    "learned": "learned",
    "oracle": "oracle: knows the mask",
}
"""What a kind is called in a table; an oracle is told what no real photo tells, so it competes with nobody."""


@dataclass(frozen=True)
class Method:
    """A restorer with the name and kind that it has in tables and figures.

    An oracle's `restore` takes (degraded, mask), every other one (degraded).
    """

    name: str
    kind: Kind
    restore: Restoration | Oracle


def methods(recipe: Recipe, pairs: Sequence[Pair] = ()) -> list[Method]:
    """The degraded input and every classical restorer for this damage.

    Args:
        pairs: with these, the oracles are included too, if the damage of every pair is known.
    """
    rows = [Method(recipe.input_name, "input", recipe.as_input)]
    rows += [Method(name, "classical", restore) for name, restore in recipe.baselines().items()]
    if pairs and all(pair.mask is not None for pair in pairs):
        rows += [Method(name, "oracle", restore) for name, restore in recipe.oracles().items()]
    return rows


def evaluate(
    methods: Sequence[Method],
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
        >>> evaluate(methods(recipe, pairs), pairs, recipe, "test photos")
    """
    if not pairs:
        raise UserError("no test images to evaluate on")
    inputs = score(restore_all(recipe.as_input, pairs), pairs, recipe.crop_border, recipe.channel)
    rows = []
    for method in methods:
        started = time.perf_counter()
        oracle = method.kind == "oracle"
        restored = restore_all(method.restore, pairs, method.name, with_mask=oracle)
        seconds = time.perf_counter() - started
        if keep:
            keep(method.name, restored)
        rows.append(
            {"method": method.name, "kind": method.kind, "data": data, "n_images": len(pairs)}
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


def trained(path: str | Path, compute: Compute | None = None) -> list[Method]:
    """The generator of a checkpoint or run folder; of a run of two stages, that of the first stage before it.

    Raises:
        UserError: if there is no checkpoint.

    Example:
        >>> evaluate(methods(recipe, pairs) + trained("runs/srgan-smoke"), pairs, recipe, "test photos")
    """
    generator, recipe, _ = load_generator(path)
    rows = [Method(recipe.name, "learned", Restorer(generator, compute))]
    if (Path(path) / PRETRAINED).is_file():
        first = Restorer(load_generator(Path(path) / PRETRAINED)[0], compute)
        rows.insert(0, Method(f"{recipe.name}, pixel loss only", "learned", first))
    return rows


def evaluate_checkpoint(
    path: str | Path,
    data: str | None = None,
    split: Split = "test",
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
    images = recipe.images(split, skip_unreadable=skip_unreadable)
    pairs = make_pairs(images, recipe, limit)
    return evaluate(methods(recipe, pairs) + trained(path, compute), pairs, recipe, f"{images.source} ({split})")


def as_text(rows: Sequence[Row]) -> str:
    """The rows as an aligned text table, best PSNR last, and the protocol below it."""
    rows = sorted(rows, key=lambda row: row["psnr"])
    width = max(len(row["method"]) for row in rows)
    kind_width = max(len(TITLES[row["kind"]]) for row in rows)
    lines = [
        f"{'method':{width}}  {'kind':{kind_width}}  PSNR dB     SSIM       MSE  /input  MOS*"
        "  shift R,   G,   B  s/image"
    ]
    lines += [
        f"{row['method']:{width}}  {TITLES[row['kind']]:{kind_width}}  {row['psnr']:7.2f}  {row['ssim']:7.5f}"
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
