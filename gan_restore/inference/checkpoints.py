"""Saving and loading: the generator (to use) and the training state (to resume from).

`best.safetensors` holds the weights of a generator; its metadata hold the recipe and facts such as the step and the
validation scores, so the file can be used on its own. `last.ckpt` holds everything that training needs to continue
as if it had never stopped.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from gan_restore.files import UserError, read_json, writing
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import from_dict

BEST, LAST, RECIPE, METRICS = "best.safetensors", "last.ckpt", "recipe.json", "metrics.csv"
PRETRAINED = "pretrained.safetensors"
"""The best generator of the first stage, if a recipe has two."""

_STATE_FORMAT = 2  # raised whenever the contents of `last.ckpt` change


def save_generator(path: str | Path, generator: nn.Module, recipe: Recipe, **facts: Any) -> None:
    """Write the weights of a generator, with the recipe and `facts` about the weights as metadata.

    Paths of this machine are left out of the recipe (`Recipe.portable`).

    Args:
        facts: plain values for JSON. Training writes those that `Trainer` lists.

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
    """Read a checkpoint, or `best.safetensors` of a run folder.

    Returns:
        The generator in evaluation mode, on the CPU; its recipe, with paths such as `data` only if a run folder was
        given; and the facts that `save_generator` stored.

    Raises:
        UserError: if the file is missing or not a checkpoint of this library.
    """
    path = Path(path)
    file = path / BEST if path.is_dir() else path
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        hint = "train first, or give a run folder" if path.is_dir() else "check the path"
        if (path / LAST).exists():
            hint = "the run stopped before its first validation; continue it with the same command and --resume"
        raise UserError(f"no checkpoint at {file}; {hint}") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file} is not a gan-restore checkpoint ({error}); give a {BEST}") from None
    recipe, facts = _read_metadata(file, metadata)
    generator = recipe.generator()
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{file} does not fit its recipe: {str(error).splitlines()[-1].strip()}") from None
    if path.is_dir() and (path / RECIPE).is_file():
        recipe = dataclasses.replace(recipe, **read_recipe(path).local_paths())
    return generator.eval(), recipe, facts


def load_facts(path: str | Path) -> dict[str, Any]:
    """Read the facts of a checkpoint without its weights.

    Raises:
        UserError: if the file is missing or not a checkpoint of this library.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"cannot read {path}: {error}; give a {BEST}") from None
    return _read_metadata(Path(path), metadata)[1]


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

    Raises:
        UserError: if the file cannot be written.
    """
    with writing(path) as part:
        torch.save({"format": _STATE_FORMAT, **state}, part)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a training state onto the CPU, without executing code from the file.

    Raises:
        UserError: if the file is missing, not a training state, or one of another version of this library.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"nothing to resume: no {path}; leave out --resume to start") from None
    except Exception as error:  # torch.load raises many types of errors for other files
        raise UserError(
            f"{path} is not a training state ({type(error).__name__}); start again in another --out"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise UserError(f"{path} is not a training state of gan-restore; start again in another --out")
    if state.get("format") != _STATE_FORMAT:
        raise UserError(
            f"{path} was written by another version of gan-restore and cannot be resumed; "
            "start again with --overwrite or in another --out"
        )
    return state
