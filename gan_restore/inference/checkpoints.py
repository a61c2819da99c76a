"""Saving and loading: the generator (to use) and the training state (to resume from).

`best.safetensors` holds the weights of a generator; its metadata hold the recipe and facts such as the step and the
validation scores, so the file can be used on its own. `last.ckpt` holds everything that training needs to continue
as if it had never stopped.
"""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from gan_restore.files import UserError, did_you_mean, read_json, writing
from gan_restore.inference.models import Card, listed, model_names, model_path
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import from_dict

BEST, LAST, RECIPE, METRICS = "best.safetensors", "last.ckpt", "recipe.json", "metrics.csv"
PREVIOUS = "previous.ckpt"
"""The training state before the last one, for the case that the last one cannot be read."""
PRETRAINED = "pretrained.safetensors"
"""The best generator of the first stage, if a recipe has two."""
EPOCH = "epoch-{:04}.safetensors"
"""The generator after an epoch, if such are kept."""

_STATE_FORMAT = 2  # raised whenever the contents of `last.ckpt` change


def save_generator(path: str | Path, generator: nn.Module, recipe: Recipe, **facts: Any) -> None:
    """Write the weights of a generator, with the recipe and `facts` about the weights as metadata.

    Paths of this machine are left out of the recipe (`Recipe.portable`).

    Args:
        generator: a generator in half precision, `generator.half()`, gives a file of half the size;
            `load_generator` makes a float32 module of it again.
        facts: plain values for JSON. Training writes those that `Trainer` lists; a model also has a `card`
            (`models.Card`).

    Raises:
        UserError: if the file cannot be written.
    """
    portable = json.dumps(recipe.portable().to_dict())
    metadata = {"recipe": portable, "facts": json.dumps(facts), "format": "gan-restore 1"}
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    with writing(path) as part:
        # Not `save_file`: it reports a full disk by an error type of its own.
        part.write_bytes(safetensors.torch.save(weights, metadata))


def load_generator(path: str | Path) -> tuple[nn.Module, Recipe, dict[str, Any]]:
    """Read a checkpoint, `best.safetensors` of a run folder, or a model that is part of the package.

    Args:
        path: the file, the run folder, or the model's name. If a file or folder of that name exists, it is taken.

    Returns:
        The generator in evaluation mode, in float32, on the CPU; its recipe, with paths such as `data` only if a
        run folder was given; and the facts that `save_generator` stored.

    Raises:
        UserError: if there is no such file, run or model, or the file is not a checkpoint of this library.
    """
    file, (recipe, facts), weights = _read(path, with_weights=True)
    generator = recipe.generator()
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{file} does not fit its recipe: {str(error).splitlines()[-1].strip()}") from None
    if Path(path).is_dir() and (Path(path) / RECIPE).is_file():
        recipe = dataclasses.replace(recipe, **read_recipe(path).local_paths())
    return generator.eval(), recipe, facts


def checkpoint_file(path: str | Path) -> Path:
    """The file of a checkpoint, a run folder or a model's name, which need not exist."""
    if not Path(path).exists() and str(path) in model_names():
        return model_path(str(path))
    return Path(path) / BEST if Path(path).is_dir() else Path(path)


def _read(path: str | Path, with_weights: bool) -> tuple[Path, tuple[Recipe, dict[str, Any]], dict[str, Tensor]]:
    """The file of a checkpoint, a run folder or a model's name; its recipe and facts; its weights if asked for."""
    file = checkpoint_file(path)
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            names = opened.keys() if with_weights else []
            weights = {name: opened.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {file}; {_hint(Path(path))}") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file} is not a gan-restore checkpoint ({error}); give a {BEST}") from None
    return file, _read_metadata(file, metadata), weights


def _hint(path: Path) -> str:
    """What to do if there is no checkpoint at `path`."""
    if (path / LAST).exists():
        return "the run stopped before its first validation; continue it with the same command and --resume"
    if path.is_dir():
        model = f"; the folder hides the model '{path}', which --model finds" if str(path) in model_names() else ""
        return f"train first, or give a run folder{model}"
    return f"check the path; {listed()}{did_you_mean(path, model_names())}"


def load_facts(path: str | Path) -> dict[str, Any]:
    """Read the facts of a checkpoint, a run folder or a model without its weights.

    Raises:
        UserError: if there is no such file, run or model, or the file is not a checkpoint of this library.
    """
    return _read(path, with_weights=False)[1][1]


def load_recipe(path: str | Path) -> Recipe:
    """Read the recipe of a checkpoint, a run folder or a model without its weights.

    Raises:
        UserError: if there is no such file, run or model, or the file is not a checkpoint of this library.
    """
    return _read(path, with_weights=False)[1][0]


def load_card(name: str | Path) -> Card:
    """Read the card of a model by its name, or of a file that was written with one.

    Raises:
        UserError: if there is no such model, or the file has no card.
    """
    facts = load_facts(name)
    if "card" not in facts:
        raise UserError(f"{name} has no card; {listed()}")
    return facts["card"]


def _read_metadata(file: Path, metadata: dict[str, str]) -> tuple[Recipe, dict[str, Any]]:
    if not metadata.get("format", "").startswith("gan-restore"):
        raise UserError(f"{file} was not written by gan-restore; give a {BEST}")
    try:
        return from_dict(json.loads(metadata["recipe"])), json.loads(metadata["facts"])
    except (KeyError, ValueError, UserError) as error:
        raise UserError(f"{file} holds no recipe that this version knows ({error}); give a {BEST}") from None


def read_recipe(run: str | Path) -> Recipe:
    """Read the recipe of a run folder.

    Raises:
        UserError: if the folder has no readable recipe.
    """
    values = read_json(Path(run) / RECIPE)
    if not isinstance(values, dict):
        raise UserError(f"{Path(run) / RECIPE} holds no recipe; give another run folder")
    return from_dict(values)


def save_state(path: str | Path, state: dict[str, Any]) -> None:
    """Write a training state (nested dicts of tensors and plain values), completely or not at all.

    A state that was at `path` before becomes `previous.ckpt` beside it.

    Raises:
        UserError: if the file cannot be written.
    """
    path = Path(path)
    with writing(path) as part:
        torch.save({"format": _STATE_FORMAT, **state}, part)
        if path.exists():
            path.replace(path.with_name(PREVIOUS))


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a training state onto the CPU, without executing code from the file. Checksums find damaged files.

    Raises:
        UserError: if the file is missing, not a training state, or one of another version of this library.
    """
    try:
        with zipfile.ZipFile(path) as file:  # torch.load itself does not look at the checksums
            if damaged := file.testzip():
                raise zipfile.BadZipFile(damaged)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"nothing to resume: no {path}; leave out --resume to start") from None
    except Exception as error:  # torch.load raises many types of errors for other files
        raise UserError(
            f"{path} is not a training state or is damaged ({type(error).__name__}); start again in another --out"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise UserError(f"{path} is not a training state of gan-restore; start again in another --out")
    if state.get("format") != _STATE_FORMAT:
        raise UserError(
            f"{path} was written by another version of gan-restore and cannot be resumed; "
            "start again with --overwrite or in another --out"
        )
    return state
