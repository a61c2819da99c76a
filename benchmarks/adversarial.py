"""Measure what the adversarial loss buys: the same generator, trained on from the same weights with three losses.

    python benchmarks/adversarial.py DATA
    python benchmarks/adversarial.py DATA --tasks x4 --start runs/x4    # from an existing run of the pixel loss

A first run trains on the pixel loss alone. From its weights, three runs of equal length train on the pixel loss, on
pixel, perceptual and adversarial loss together, and on the adversarial loss alone. DATA is a folder that holds
bsd400/, cbsd68/ and faces/ (with train/ and val/). A run that is finished is only measured; a run that was stopped
is resumed, and the results of other tasks in OUT are kept. `python benchmarks/tables.py OUT` writes the tables of
docs/results.md, if OUT is named adversarial.
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tables
import tyro
from model_recipes import MODELS
from torch import Tensor

from gan_restore import figures, training
from gan_restore.cli.arguments import parse
from gan_restore.data.layouts import Split
from gan_restore.evaluation.pairs import Pair, Pairs, measure
from gan_restore.files import UserError, read_csv, read_json, write_json
from gan_restore.inference.checkpoints import LAST, METRICS
from gan_restore.inference.devices import Compute
from gan_restore.inference.restorer import load_restorer
from gan_restore.metrics.fidelity import texture_distance
from gan_restore.metrics.perceptual import efficientnet_distance
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import get as get_recipe


@dataclass(frozen=True)
class Task:
    """A recipe, its data, the fields of the first run, and those of the run with all losses."""

    recipe: str
    trained_on: str
    tested_on: str
    split: Split
    first: dict[str, Any]
    fields: dict[str, Any]

    @property
    def losses(self) -> dict[str, dict[str, Any]]:
        """The fields of the three runs that follow the first one; only the weights of the losses differ."""
        return {
            "pixel loss": {**self.fields, "adversarial_weight": 0.0, "perceptual_weight": 0.0},
            "all three losses": self.fields,
            "adversarial loss": {**self.fields, "pixel_weight": 0.0, "perceptual_weight": 0.0},
        }

    def recipe_of(self, data: Path, seed: int, **changes: Any) -> Recipe:
        fields = {"data": str((data / self.trained_on).resolve()), "seed": seed, **changes}
        return get_recipe(self.recipe, "small", **fields)


_X4, _X4_GAN, _FACE = MODELS["x4"], MODELS["x4-gan"], MODELS["face-damaged"]
_STRONG_DAMAGE = {"largest_factor": 6.0}
_SHARED = (
    "adversarial", "adversarial_weight", "beta1", "discriminator_kind", "discriminator_learning_rate",
    "discriminator_width", "learning_rate", "perceptual_network", "perceptual_weight", "pixel_weight",
)  # fmt: skip
_LIKE_X4_GAN = {name: getattr(_X4_GAN.recipe_at("cpu", Path()), name) for name in _SHARED}

TASKS = {
    "x4": Task(
        "srgan", "bsd400", "cbsd68", "all",
        {**_X4.changes, **_X4.cpu},
        {**_X4_GAN.changes, **_X4_GAN.cpu, "crops_per_image": 16},
    ),
    "face": Task(
        "face-cgan", "faces", "faces/val", "all",  # the test split of faces is a part of what trained face-damaged
        {**_FACE.changes, **_FACE.cpu, **_STRONG_DAMAGE},
        {**_FACE.changes, **_FACE.cpu, **_STRONG_DAMAGE, **_LIKE_X4_GAN, "crops_per_image": 3, "epochs": 2},
    ),
}  # fmt: skip
"""Tasks with several plausible answers. The losses and their weights are those of the model `x4-gan`."""


def run(
    data: tyro.conf.Positional[Path],
    tasks: tuple[Literal["x4", "face"], ...] = ("x4", "face"),
    start: Path | None = None,
    out: Path = Path("runs/adversarial"),
    seed: int = 0,
) -> None:
    """Train and measure each task; the results go to OUT/results.json, crops to OUT/TASK.png.

    Example: python benchmarks/adversarial.py path/to/data --tasks x4

    Args:
        data: The folder of the data sets.
        tasks: What is restored.
        start: A checkpoint or run of the pixel loss to start from, for one task; by default it is trained first.
        out: The folder for the runs and the results.
        seed: The seed of all random draws.
    """
    if start and len(tasks) > 1:
        raise UserError("--start fits one task; name it with --tasks")
    compute = Compute().for_training()
    file = out / "results.json"
    done = read_json(file)["tasks"] if file.exists() else {}
    results: dict[str, Any] = {"tasks": done}
    for name in tasks:
        task, folder = TASKS[name], out / name
        first = start or trained(task.recipe_of(data, seed, **task.first), folder / "first", compute)
        runs = {"first run": first}
        for loss, fields in task.losses.items():
            recipe = task.recipe_of(data, seed, **fields, start_from=str(first))
            runs[loss] = trained(recipe, folder / loss.replace(" ", "-"), compute)
        rows, pairs = measured(task, data, runs, compute)
        results["tasks"][name] = {
            "recipe": task.recipe,
            "trained_on": task.trained_on,
            "tested_on": task.tested_on,
            "n_images": len(pairs),
            "damage": pairs[0].damage,
            "fields": {**({} if start else {"first run": task.first}), **task.losses},
            "rows": rows,
            "seed": seed,
            **compute.environment(compute.fabric().device),
        }
        write_json(file, results)
        print(f"\n{tables.losses(results, name)}\n")
        figure = crops(pairs, runs, compute, task.recipe_of(data, seed, **task.fields))
        figures.save_figure(figure, out / f"{name}.png")
        print(f"crops: {out / name}.png")


def trained(recipe: Recipe, folder: Path, compute: Compute) -> Path:
    """The run folder of a recipe, trained, or resumed if it was stopped."""
    return training.train(recipe, folder, compute, resume=(folder / LAST).exists())


def measured(
    task: Task, data: Path, runs: dict[str, Path], compute: Compute
) -> tuple[list[dict[str, Any]], Sequence[Pair]]:
    """A row for the degraded input and each run: PSNR and SSIM, and two distances that do not compare pixels."""
    recipe = task.recipe_of(data, 0, **task.fields)
    tested = dataclasses.replace(recipe, data=str((data / task.tested_on).resolve()))
    pairs = Pairs(tested.images(task.split), recipe)
    rows = []
    for method, run_folder in {"degraded input": None, **runs}.items():
        restore = recipe.as_input if run_folder is None else load_restorer(run_folder, compute)
        scores = measure(restore, pairs, recipe)
        restored = [restore(pair.degraded).cpu().clamp(0, 1) for pair in pairs]
        clean = [pair.clean for pair in pairs]
        distance = efficientnet_distance(restored, clean, compute.fabric().device).value
        texture = [texture_distance(*pair).item() for pair in zip(restored, clean, strict=True)]
        row = {"method": method, **{metric: mean(scores[metric]) for metric in ("psnr", "ssim")}}
        row |= {"efficientnet_distance": distance, "texture_distance": mean(texture)}
        if run_folder is not None and (run_folder / METRICS).is_file():
            last = read_csv(run_folder / METRICS)[-1]
            row |= {"steps": int(last["step"]), "minutes": last["seconds"] / 60}
        rows.append(row)
    return rows, pairs


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def crops(pairs: Sequence[Pair], runs: dict[str, Path], compute: Compute, recipe: Recipe, side: int = 96) -> Any:
    """The square with the most detail of four test images, a row each: input, every run, clean image."""
    restorers = {name: load_restorer(path, compute) for name, path in runs.items() if name != "first run"}
    chosen = [pairs[index] for index in range(0, len(pairs), max(1, len(pairs) // 4))][:4]
    figure, axes = figures.new_figure(len(chosen), len(restorers) + 2, 2.6, 2.7)
    for number, (row, pair) in enumerate(zip(axes, chosen, strict=True)):
        images: dict[str, Tensor] = {recipe.input_name: recipe.as_input(pair.degraded)}
        images |= {name: restore(pair.degraded) for name, restore in restorers.items()} | {"clean": pair.clean}
        left, top, width = figures.busiest_box(pair.clean, side)
        for axis, (name, image) in zip(row, images.items(), strict=True):
            detail = figures.as_array(image)[top : top + width, left : left + width]
            axis.imshow(detail, vmin=0, vmax=1, interpolation="nearest")
            axis.set_title("" if number else name, fontsize=9)
            axis.set_axis_off()
    return figure


if __name__ == "__main__":
    try:
        parse(run, sys.argv[1:], "python benchmarks/adversarial.py")
    except UserError as error:
        sys.exit(f"adversarial.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
