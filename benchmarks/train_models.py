"""Train the models that are part of the package, measure them, and write their files and results.

    python benchmarks/train_models.py DATA                                       # train and measure all models
    python benchmarks/train_models.py DATA --models x2 --actions measure publish # of a finished run
    python benchmarks/train_models.py DATA --size small                          # larger networks, for a GPU
    python benchmarks/tables.py                                                  # write the tables in the texts

DATA is a folder that holds bsd400/, sunhays80/, cbsd68/, set5/, faces/ (with train/ and val/) and fer2013.zip. The
run of a model is OUT/SIZE/NAME. The same command continues what was stopped by Ctrl-C or SIGTERM: a stopped run is
resumed, a finished run is not trained again, and a measurement that was made is not repeated. Publishing writes
gan_restore/models/NAME.safetensors and the model's entry in docs/results/models.json.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from model_data import prepare, sources
from model_recipes import MODELS, SEVERAL_SEEDS, Model, Size, changes_of
from model_scores import HALF, Scorer, Scores

from gan_restore import training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, did_you_mean, read_csv, read_json, write_json
from gan_restore.inference import models as package
from gan_restore.inference.checkpoints import (
    BEST,
    LAST,
    METRICS,
    load_facts,
    load_generator,
    load_state,
    read_recipe,
    save_generator,
)
from gan_restore.recipes.base import Recipe
from gan_restore.training.run_folder import ENVIRONMENT, differences, fingerprint

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "models.json"

Action = Literal["train", "measure", "publish"]


def run(
    data: tyro.conf.Positional[Path],
    size: Size = "cpu",
    models: tuple[str, ...] = tuple(MODELS),
    actions: tuple[Action, ...] = ("train", "measure"),
    out: Path = Path("runs/models"),
    limit: int = 0,
    seeds: int = 1,
    threads: int = 1,
) -> None:
    """Train, measure and publish models.

    Example: python benchmarks/train_models.py path/to/data --models x2 scratches --actions train measure publish

    Args:
        data: The folder of the data sets.
        size: cpu uses smaller networks and shorter runs than small, which is for a GPU.
        models: Which models.
        actions: What to do with each model. Publishing measures what is not measured yet.
        out: The folder for the training images, the runs and the measurements.
        limit: Number of images of each test set, for a trial; 0 takes all.
        seeds: Train and measure the model `SEVERAL_SEEDS` with this many seeds, to know how much they matter.
        threads: Number of threads on the CPU.
    """
    for name in models:
        if name not in MODELS:
            raise UserError(f"no model '{name}'{did_you_mean(name, MODELS)}; choose from {', '.join(MODELS)}")
    if limit and "publish" in actions:
        raise UserError("results of a sample are not published; leave out --limit")
    if limit < 0 or seeds < 1 or threads < 1:
        raise UserError("limit must be at least 0, seeds and threads at least 1")
    torch.set_num_threads(threads)
    pipeline = Pipeline(data, out, size, limit)
    for name in (name for name in MODELS if name in models):  # in this order, because of `start_from`
        if "train" in actions:
            pipeline.train(name)
        if "measure" in actions:
            _report(name, MODELS[name], pipeline.scorer(name).all())
        if "publish" in actions:
            pipeline.publish(name)
    if seeds > 1:
        pipeline.seeds(seeds, actions)


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """Training, measuring and publishing, with the folders that they read from and write to."""

    data: Path
    out: Path
    size: Size
    limit: int = 0

    def folder(self, name: str, seed: int = 0) -> Path:
        """The run folder of a model."""
        return self.out / self.size / (f"{name}-seed{seed}" if seed else name)

    def recipe(self, name: str, seed: int = 0) -> Recipe:
        """The recipe of a model, after its training images were prepared.

        Raises:
            UserError: if data is missing, or the model that it starts from is not trained.
        """
        model, start = MODELS[name], None
        if model.start_from:
            start = self.folder(model.start_from) / BEST
            if not _is_finished(start.parent):
                raise UserError(f"{name} starts from {model.start_from}; train that model first")
        data = prepare(model.trained_on, self.data, self.out / "data")
        return model.recipe_at(self.size, data, seed, start)

    def train(self, name: str, seed: int = 0) -> None:
        """Train a model, or continue its run; a finished run is only checked.

        Raises:
            UserError: if the run folder holds a run of other settings or other images.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once the state is saved.
        """
        recipe, folder = self.recipe(name, seed), self.folder(name, seed)
        if (folder / LAST).exists():
            if changed := differences(read_recipe(folder), recipe):
                raise UserError(f"{folder} has other settings ({'; '.join(changed)}); move it away")
            if load_state(folder / LAST)["data"] != fingerprint(recipe.images("train"), recipe.images("val")):
                raise UserError(f"{folder} was trained on other images than those of {recipe.data}; move it away")
        if _is_finished(folder):
            print(f"{name}: trained, {folder}", flush=True)
            return
        keep_every = recipe.epochs if MODELS[name].latest else 0
        training.train(recipe, folder, resume=(folder / LAST).exists(), keep_every=keep_every)

    def scorer(self, name: str, seed: int = 0) -> Scorer:
        """What measures the run of a model."""
        return Scorer(name, MODELS[name], self.folder(name, seed), self.data, self.limit)

    def publish(self, name: str) -> None:
        """Write the file and the results of a model.

        Raises:
            UserError: if the run is not finished, or a file cannot be written.
        """
        model, folder = MODELS[name], self.folder(name)
        if not _is_finished(folder):
            raise UserError(f"{folder} holds no finished run; train {name} first")
        scorer = self.scorer(name)
        scores = scorer.all()
        generator, recipe, facts = load_generator(folder / HALF)
        images = self.recipe(name).images("train")
        card: package.Card = {
            "purpose": model.purpose,
            "trained_on": sources(images, model.trained_on),
            **_how_trained(folder),
            "measured": scores["measured"],
            "undamaged": scores["undamaged"],
            "robustness": scores["robustness"],
        }
        if model.part_of_package:
            path = package.MODELS / f"{name}.safetensors"
            if not _holds(path, generator, facts | {"card": card}):
                save_generator(path, generator.half(), recipe, **facts, card=card)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
        published: Any = _published()
        published["models"][name] = {
            "card": card,
            "recipe": recipe.name,
            "size": self.size,
            "seed": recipe.seed,
            "changes": changes_of(recipe),
            "targets": [
                {"gain": target.gain, "psnr": target.psnr, "published": target.published}
                for target in model.targets
            ],
            "least_undamaged": model.undamaged,
            "everywhere": scores["everywhere"],
            "measured_with": scorer.environment,
        }
        write_json(RESULTS, published)
        print(f"{RESULTS}: {name} written; next: make tables, and python benchmarks/model_cards.py --figures")

    def seeds(self, count: int, actions: tuple[Action, ...]) -> None:
        """Train, measure and publish one model with `count` seeds, on the same damaged test images."""
        found, model = [], MODELS[SEVERAL_SEEDS]
        for seed in range(count):
            if "train" in actions:
                self.train(SEVERAL_SEEDS, seed)
            if "measure" in actions or "publish" in actions:
                scorer, scores = self.scorer(SEVERAL_SEEDS, seed), {}
                for target in model.targets:
                    row = scorer.table(target)[-1]
                    named = {"PSNR (dB)": row["psnr"], **row["extra"]}
                    scores |= {f"{name}, {target.label}": value for name, value in named.items()}
                found.append({"seed": seed, "scores": scores})
                print(f"{SEVERAL_SEEDS}, seed {seed}: {scores}", flush=True)
        if "publish" in actions:
            write_json(RESULTS, {**_published(), "seeds": {"model": SEVERAL_SEEDS, "runs": found}})


def _is_finished(folder: Path) -> bool:
    """Whether the run in a folder has reached its last step."""
    if not (folder / BEST).exists():
        return False
    return read_csv(folder / METRICS)[-1]["step"] == load_facts(folder / BEST)["steps"]


def _holds(path: Path, generator: torch.nn.Module, facts: dict[str, Any]) -> bool:
    """Whether a model's file has these weights and facts. Writing it again would change the order of its bytes."""
    if not path.exists() or load_facts(path) != facts:
        return False
    before, ours = load_generator(path)[0].state_dict(), generator.state_dict()
    return before.keys() == ours.keys() and all(torch.equal(before[name], ours[name]) for name in ours)


def _how_trained(folder: Path) -> dict[str, Any]:
    """Steps, minutes and environment of a run; a run that was resumed may have had several environments."""
    last, starts = read_csv(folder / METRICS)[-1], read_json(folder / ENVIRONMENT)
    several = {
        name: dict.fromkeys(start[name] for start in starts if start[name])
        for name in ("device", "precision", "commit")
    }
    return {
        "steps": int(last["step"]),
        "minutes": last["seconds"] / 60,
        **{name: ", then ".join(values) or None for name, values in several.items()},
        "versions": starts[-1]["versions"],
    }


def _published() -> dict[str, Any]:
    return read_json(RESULTS) if RESULTS.exists() else {"models": {}}


def _report(name: str, model: Model, scores: Scores) -> None:
    """Print what a model reaches, beside its targets."""
    for target, measured in zip(model.targets, scores["measured"], strict=True):
        before, classical, own = (package.best_score(measured, kind) for kind in ("input", "classical", "learned"))
        gain = own["psnr"] - classical["psnr"]
        judged = f"{reached(gain, target.gain)}{reached(own['psnr'], target.psnr)}"
        print(
            f"{name} on {target.label}: {own['psnr']:.2f} dB; input {before['psnr']:.2f}; "
            f"{classical['method']} {classical['psnr']:.2f}, gain {gain:+.2f}{judged}"
        )
    for images in scores["undamaged"]:
        judged = reached(images["psnr"], model.undamaged)
        print(f"{name} on undamaged images of {images['data']}: {images['psnr']:.2f} dB{judged}")
    for images in scores["everywhere"]:
        judged = "" if images["model"] >= images["input"] else " (below its input)"
        print(
            f"{name}, its own damage on {images['data']}: {images['input']:.2f} -> {images['model']:.2f} dB{judged}"
        )
    sample = f", {scores['limit']} images of each set only" if scores["limit"] else ""
    print(f"{name}: measured in {scores['seconds'] / 60:.1f} minutes{sample}", flush=True)


def reached(value: float, least: float | None) -> str:
    """Whether a value reaches its target, in words; empty without a target.

    >>> reached(1.25, 1.5)
    ' (target 1.5: missed by 0.25)'
    """
    if least is None:
        return ""
    return f" (target {least:g}: {'reached' if value >= least else f'missed by {least - value:.2f}'})"


if __name__ == "__main__":
    try:
        parse(run, sys.argv[1:], "python benchmarks/train_models.py")
    except UserError as error:
        sys.exit(f"train_models.py: {error}")
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
