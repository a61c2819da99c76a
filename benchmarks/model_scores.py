"""Measuring a trained model: tables on its test sets, robustness sweep, undamaged images, and all test sets.

A model is measured as it is published: averaged with the weights that it started from, if its entry says so, and
rounded to half precision. Every measurement is kept in `measured.json` beside the run, with what it depends on, and
is made again only if that has changed.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from model_recipes import METRICS, TEST_SETS, Model, Target
from tqdm.auto import tqdm

import gan_restore
from gan_restore import evaluation
from gan_restore.data.datasets import Images
from gan_restore.degradations.base import seeded
from gan_restore.evaluation import Pairs, Row
from gan_restore.files import UserError, read_json, write_json
from gan_restore.inference.checkpoints import BEST, EPOCH, load_generator, load_recipe, save_generator
from gan_restore.inference.devices import Compute
from gan_restore.inference.models import Measured, Sweep, Undamaged
from gan_restore.recipes.base import Recipe

HALF, MEASURED = "half.safetensors", "measured.json"

COMPUTE = Compute(precision="32-true")
"""The same precision on every device."""

SWEEP_IMAGES = 20

_CODE = (
    "images.py",
    "strips.py",
    "baselines",
    "data",
    "degradations",
    "evaluation",
    "inference",
    "losses",
    "metrics",
    "networks",
    "recipes",
)


class Everywhere(TypedDict):
    """A model on one test set, with the damage that it was trained on."""

    data: str
    n_images: int
    damage: str
    preparation: str
    input: float
    """Mean PSNR of the degraded input in dB; of super-resolution, of the bicubic enlargement."""
    model: float


class Scores(TypedDict):
    """All measurements of a model."""

    measured: list[Measured]
    """One table for each target of the model, in their order."""
    undamaged: list[Undamaged]
    robustness: list[Sweep]
    everywhere: list[Everywhere]
    limit: int
    """Number of images of each test set, a sample; 0 is all."""
    seconds: float
    """Duration of all measurements together."""


class Scorer:
    """Measures one trained model, or looks up what was measured before.

    Args:
        name: the model's name, which is also its name in tables.
        model: its entry in `model_recipes.MODELS`.
        run: its run folder.
        data: the folder of the data sets.
        limit: number of images of each test set, a sample; 0 takes all.

    Raises:
        UserError: if there is no checkpoint, or half precision cannot hold its weights.
    """

    def __init__(self, name: str, model: Model, run: Path, data: Path, limit: int = 0) -> None:
        self.name, self.model, self.run, self.data, self.limit = name, model, run, data, limit
        checkpoint = run / BEST
        if model.latest:
            checkpoint = run / EPOCH.format(load_recipe(checkpoint).epochs)
        generator, recipe, facts = load_generator(checkpoint)
        if model.start_share:
            first, _, its_facts = load_generator(run.parent / model.start_from / BEST)
            if its_facts["step"] != facts["started_from"]["step"]:
                raise UserError(f"{run} started from other weights than those in {run.parent / model.start_from}")
            start, own = first.state_dict(), generator.state_dict()
            generator.load_state_dict({key: own[key].lerp(start[key], model.start_share) for key in own})
        generator.half()
        if not all(torch.isfinite(weights).all() for weights in generator.state_dict().values()):
            raise UserError(f"{checkpoint} has weights beyond half precision; lower learning_rate")
        save_generator(run / HALF, generator, recipe, **facts)
        # The damage on the test images must not differ between runs with different seeds.
        self.recipe = dataclasses.replace(recipe, seed=0)
        network = evaluation.trained(run / HALF, COMPUTE, "all", other_data=True)[0]
        self.network = dataclasses.replace(network, name=name)
        self.environment = COMPUTE.environment(COMPUTE.fabric().device)
        self.depends_on = {
            "weights": _hash_of_weights(generator.state_dict()),
            "code": _hash_of_code(),
            "environment": {key: value for key, value in self.environment.items() if key != "commit"},
            "limit": limit,
        }
        self.seconds: dict[str, float] = {}

    def all(self) -> Scores:
        """Measure everything; each measurement is stored before the next one starts."""
        tables = [self.table(target) for target in self.model.targets]
        home = list(dict.fromkeys(target.data for target in self.model.targets))
        return {
            "measured": [_as_measured(rows) for rows in tables],
            "undamaged": [self.undamaged(data) for data in home],
            "robustness": [self.robustness(home[0])],
            "everywhere": [self.everywhere(data) for data in TEST_SETS],
            "limit": self.limit,
            "seconds": sum(self.seconds.values()),
        }

    def table(self, target: Target, *, only_network: bool = False) -> list[Row]:
        """Every method on the images of a target, or the input and the network only."""
        recipe = self._recipe_on(target.data, target.changes)

        def rows() -> list[Row]:
            images = self._images(target.data, recipe)
            pairs = Pairs(images, recipe)
            classical = evaluation.methods(recipe, pairs)[: 1 if only_network else None]
            extra = METRICS if self.model.perceptual and not only_network else {}
            return evaluation.evaluate([*classical, self.network], pairs, recipe, target.data, extra)

        kind = "input and network" if only_network else "table"
        return self._cached(f"{kind}: {target.label}", recipe, rows)

    def everywhere(self, data: str) -> Everywhere:
        """The input and the network on a test set, with the damage of training."""
        home = [target for target in self.model.targets if target.data == data and not target.changes]
        rows = self.table(home[0]) if home else self.table(Target(data), only_network=True)
        psnr = {row["kind"]: row["psnr"] for row in rows}  # of several classical methods one, which is not used
        common = {name: rows[0][name] for name in ("data", "n_images", "damage", "preparation")}
        return {**common, "input": psnr["input"], "model": psnr["learned"]}

    def robustness(self, data: str) -> Sweep:
        """The robustness sweep of all methods on a sample of a test set, on the central 192 x 192 pixels."""
        recipe = self._recipe_on(data)
        setting, values = recipe.robustness

        def sweep() -> Sweep:
            images = self._images(data, recipe).sample(SWEEP_IMAGES, recipe.seed)
            methods = [*evaluation.methods(recipe), self.network]
            psnr = evaluation.robustness_sweep(recipe, images, methods, limit=0)
            return {"data": data, "n_images": len(images), "setting": setting, "values": list(values), "psnr": psnr}

        return self._cached(f"robustness: {data}", recipe, sweep)

    def undamaged(self, data: str) -> Undamaged:
        """PSNR of the output against the input on undamaged images.

        The output of super-resolution is shrunk again by the recipe's own downsampling.
        """
        recipe = self._recipe_on(data)

        def measured() -> Undamaged:
            images = self._images(data, recipe)
            shrink = recipe.degradation() if recipe.factor > 1 else None
            total = 0.0
            for index in tqdm(range(len(images)), f"undamaged {data}", unit="image", leave=False):
                clean = images.clean(index, recipe.enlarge_to)
                restored = self.network.restore(clean).cpu()
                output = shrink(restored, seeded(0)) if shrink else restored
                total += evaluation.score(output, clean, recipe.crop_border, recipe.channel)["psnr"].item()
            return {"data": data, "n_images": len(images), "psnr": total / len(images)}

        return self._cached(f"undamaged: {data}", recipe, measured)

    def _recipe_on(self, data: str, changes: dict[str, Any] | None = None) -> Recipe:
        return dataclasses.replace(self.recipe, data=str(self.data / TEST_SETS[data][0]), **(changes or {}))

    def _images(self, data: str, recipe: Recipe) -> Images:
        return recipe.images(TEST_SETS[data][1]).sample(self.limit, recipe.seed)

    def _cached(self, key: str, recipe: Recipe, measure: Callable[[], Any]) -> Any:
        """A measurement of `measured.json`; made and stored if it is not there or depended on something else."""
        path = self.run / MEASURED
        entries: Any = read_json(path) if path.exists() else {}
        depends_on = json.loads(json.dumps(self.depends_on | {"recipe": recipe.portable().to_dict()}))
        if entries.get(key, {}).get("depends_on") != depends_on:
            started = time.perf_counter()
            value = measure()
            seconds = time.perf_counter() - started
            entries[key] = {"depends_on": depends_on, "seconds": seconds, "value": value}
            write_json(path, entries)
            print(f"{self.name}, {key}: {seconds:.0f} s", flush=True)
        self.seconds[key] = entries[key]["seconds"]
        return entries[key]["value"]


def _as_measured(rows: Sequence[Row]) -> Measured:
    common = ("data", "n_images", "sizes", "preparation", "damage", "channel", "crop_border")
    own = ("method", "kind", "psnr", "ssim", "mse", "extra", "note")
    table = {name: rows[0][name] for name in common}
    return {**table, "rows": [{name: row[name] for name in own} for row in rows]}


def _hash_of_weights(weights: dict[str, torch.Tensor]) -> str:
    """A hash of the values alone: the order of a file's metadata differs from one writing to the next."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    return digest.hexdigest()


def _hash_of_code() -> str:
    """A hash of the source of everything that a measurement runs through."""
    root, digest = Path(gan_restore.__file__).parent, hashlib.sha256()
    for part in _CODE:
        place = root / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
