"""Methods x test images -> one table. Every method, classical or learned, restores the same degraded images."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gan_restore.evaluation.pairs import Pair, batches, score
from gan_restore.files import UserError
from gan_restore.inference.checkpoints import BEST
from gan_restore.metrics.fidelity import METRICS, mean_shift, normalised_psnr
from gan_restore.recipes.base import Recipe

Kind = Literal["input", "classical", "start", "learned", "oracle"]

TITLES: dict[Kind, str] = {
    "input": "input",
    "classical": "classical",
    "start": "before training",
    "learned": "learned",
    "oracle": "oracle: knows the mask",
}
"""What a kind is called in tables. An oracle uses the true mask of the damage, unknown for real photos."""


@dataclass(frozen=True)
class Method:
    """A way to restore images, with its name and kind in tables and figures: one row.

    Attributes:
        name: unique within a table.
        kind: the degraded input, a classical method, a network before or after its training, or an oracle.
        restore: degraded -> restored; of an oracle, (degraded, mask) -> restored.
        checkpoint: the file name of a trained network's weights.
        note: what a reader must know about this method's scores, such as the images that chose its weights.
    """

    name: str
    kind: Kind
    restore: Callable[..., Tensor]
    checkpoint: str = ""
    note: str = ""

    def __call__(self, pair: Pair) -> Tensor:
        """The restored images, N x 3 x H x W in [0, 1], on the CPU."""
        inputs = (pair.degraded, pair.mask) if self.kind == "oracle" else (pair.degraded,)
        return self.restore(*inputs).cpu()


class Row(TypedDict):
    """One row of the table. Scores are means over images, by the recipe's protocol (channel, border, range)."""

    method: str
    kind: Kind
    data: str
    """Name and split of the test images."""
    n_images: int
    sizes: str
    """Width x height of the clean images in pixels, the smallest and the largest."""
    preparation: str
    """What was done to the clean images before they were degraded and measured."""
    psnr: float
    """In dB: the mean of the images' PSNRs, not the PSNR of the mean error."""
    ssim: float
    mse: float
    normalised_psnr: float
    mean_shift: list[float]
    """Restored - clean, mean of R, G and B over the whole image in 1/255. Luma hides a colour cast."""
    extra: dict[str, float]
    """Scores of the metrics that the caller added, on the whole image in RGB."""
    per_image: dict[str, list[float]]
    """psnr, ssim and mse of each image, in the order of the test images."""
    channel: str
    crop_border: int
    range: str
    damage: str
    seed: int
    seconds_per_image: float
    checkpoint: str
    """File name of a trained network's weights, or empty."""
    note: str
    """What else a reader must know about these scores, or empty."""


def methods(recipe: Recipe, pairs: Sequence[Pair] = ()) -> list[Method]:
    """The degraded input and every classical method for a recipe's damage.

    Args:
        recipe: the recipe.
        pairs: test images. If their masks are known, the recipe's oracles are included too.

    Example:
        >>> from gan_restore import recipes
        >>> [method.name for method in methods(recipes.get("srgan", "smoke"))]
        ['bicubic enlargement', 'Lanczos', 'back-projection']
    """
    found = [Method(recipe.input_name, "input", recipe.as_input)]
    found += [Method(name, "classical", restore) for name, restore in recipe.baselines().items()]
    if pairs and pairs[0].mask is not None:
        found += [Method(name, "oracle", restore) for name, restore in recipe.oracles().items()]
    return found


@torch.no_grad()
def evaluate(
    methods: Sequence[Method],
    pairs: Sequence[Pair],
    recipe: Recipe,
    data: str,
    extra: Mapping[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
) -> list[Row]:
    """Restore every pair by every method and score it: one row a method.

    Pairs are taken one after the other (small ones in batches) and only their scores are kept, so memory does not
    grow with the number of images.

    Args:
        methods: the rows, in their order.
        pairs: the test images.
        recipe: the protocol: channel and cropped border.
        data: what to call the test images in the table.
        extra: further metrics (restored, clean) -> N values, such as `texture_distance`.

    Raises:
        UserError: if there are no pairs.

    Example:
        >>> from gan_restore import recipes
        >>> from gan_restore.evaluation import Pairs
        >>> recipe = recipes.get("unet-denoiser", "smoke")
        >>> pairs = Pairs(recipe.images("test"), recipe, crop=32)
        >>> rows = evaluate(methods(recipe)[:2], pairs, recipe, "photos")
        >>> [(row["method"], row["n_images"]) for row in rows]
        [('degraded input', 3), ('median 3x3', 3)]
    """
    if not pairs:
        raise UserError("no test images to evaluate on")
    scores = [_Scores(len(pairs)) for _ in methods]
    sizes: set[tuple[int, int]] = set()
    damage = ""
    with tqdm(total=len(pairs), desc="evaluate", unit="image", leave=False) as progress:
        for positions, batch in batches(pairs):
            sizes.add((batch.clean.shape[-1], batch.clean.shape[-2]))
            damage = damage or batch.damage
            input_psnr = _score(recipe.as_input(batch.degraded), batch.clean, recipe)["psnr"]
            for method, own in zip(methods, scores, strict=True):
                progress.set_postfix_str(method.name)
                started = time.perf_counter()
                restored = method(batch)
                own.seconds += time.perf_counter() - started
                values = _score(restored, batch.clean, recipe)
                values["normalised_psnr"] = normalised_psnr(values["psnr"], input_psnr)
                values["mean_shift"] = mean_shift(restored, batch.clean)
                values |= {name: metric(restored, batch.clean) for name, metric in (extra or {}).items()}
                own.add(positions, values)
                del restored  # before the next method needs memory
            progress.update(len(positions))
    rows = []
    for method, own in zip(methods, scores, strict=True):
        row: Row = {
            "method": method.name,
            "kind": method.kind,
            "data": data,
            "n_images": len(pairs),
            "sizes": _range_of(sizes),
            "preparation": recipe.preparation,
            "psnr": own.mean("psnr"),
            "ssim": own.mean("ssim"),
            "mse": own.mean("mse"),
            "normalised_psnr": own.mean("normalised_psnr"),
            "mean_shift": torch.tensor(own.values["mean_shift"], dtype=torch.float64).mean(0).tolist(),
            "extra": {name: own.mean(name) for name in extra or {}},
            "per_image": {name: own.values[name] for name in METRICS},
            "channel": recipe.channel,
            "crop_border": recipe.crop_border,
            "range": "[0, 1]",
            "damage": damage,
            "seed": recipe.seed,
            "seconds_per_image": own.seconds / len(pairs),
            "checkpoint": method.checkpoint,
            "note": method.note,
        }
        rows.append(row)
    return rows


class _Scores:
    """The scores of one method, image by image, and the seconds it took."""

    def __init__(self, n_images: int) -> None:
        self.values: dict[str, list] = defaultdict(lambda: [0.0] * n_images)
        self.seconds = 0.0

    def add(self, positions: list[int], values: dict[str, Tensor]) -> None:
        for name, own in values.items():
            for position, value in zip(positions, own.tolist(), strict=True):
                self.values[name][position] = value

    def mean(self, name: str) -> float:
        return sum(self.values[name]) / len(self.values[name])


def _score(restored: Tensor, clean: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    return score(restored, clean, recipe.crop_border, recipe.channel)


def _range_of(sizes: set[tuple[int, int]]) -> str:
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    smallest, largest = (f"{width} x {height}" for width, height in (by_area[0], by_area[-1]))
    return smallest if len(sizes) == 1 else f"{smallest} to {largest}"


def best(rows: Sequence[Row], kind: Kind) -> Row:
    """The row that stands for a kind: of the trained networks the one in `best.safetensors`, else the highest PSNR.

    A run of two stages also has the network of its first stage in the table, usually with the higher PSNR. It is
    not the run's result.

    Raises:
        ValueError: if there is no row of this kind.

    Example:
        >>> rows = [{"method": "median", "kind": "classical", "psnr": 30.0}]
        >>> best(rows, "classical")["method"]
        'median'
    """
    found = [row for row in rows if row["kind"] == kind]
    if not found:
        raise ValueError(f"no row of kind '{kind}'")
    results = [row for row in found if row.get("checkpoint") == BEST]
    return max(results or found, key=lambda row: row["psnr"])
