"""Saving and loading: the best generator (to use) and the last training state (to go on from).

`best.safetensors` holds the generator's weights and, in its metadata, the recipe: whoever has the file needs
nothing else. `last.ckpt` holds everything that training needs to go on as if it had never stopped.
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


PRETRAINED = "pretrained.safetensors"  # the best of the first stage, where a recipe has two


def save_generator(path: str | Path, generator: nn.Module, recipe: Recipe, **facts: Any) -> None:
    """Write the weights with the recipe (without the path of its data) and `facts` about them as metadata."""
    portable = dataclasses.replace(recipe, data=None).to_dict()
    metadata = {"recipe": json.dumps(portable), "facts": json.dumps(facts), "format": "gan-restore 1"}
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    with writing(path) as part:
        # Bytes first, for safetensors reports a full disk by an error of its own.
        part.write_bytes(safetensors.torch.save(weights, metadata))


def load_generator(path: str | Path) -> tuple[nn.Module, Recipe, dict[str, Any]]:
    """Read a checkpoint, or the best one of a run folder: (generator in evaluation mode, recipe, facts).

    Given a run folder, the recipe also knows the data that it was trained on.

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
            hint = "the run stopped before its first validation; go on with the same command and --resume"
        raise UserError(f"no checkpoint at {file}; {hint}") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file} is not a gan-restore checkpoint ({error}); give a {BEST}") from None
    if not metadata.get("format", "").startswith("gan-restore"):
        raise UserError(f"{file} holds weights of something else than gan-restore; give a {BEST}")
    try:
        recipe, facts = from_dict(json.loads(metadata["recipe"])), json.loads(metadata["facts"])
    except (KeyError, ValueError, UserError) as error:
        raise UserError(f"{file} holds no recipe that this version knows ({error}); give a {BEST}") from None
    generator = recipe.generator()
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{file} does not fit its recipe: {str(error).splitlines()[-1].strip()}") from None
    if path.is_dir() and (path / RECIPE).is_file():
        recipe = dataclasses.replace(recipe, data=read_recipe(path).data)
    return generator.eval(), recipe, facts


def read_recipe(run: str | Path) -> Recipe:
    """The recipe of a run folder."""
    return from_dict(read_json(Path(run) / RECIPE))


def save_state(path: str | Path, state: dict[str, Any]) -> None:
    """Write a training state (nested dicts of tensors and plain values), whole or not at all."""
    with writing(path) as part:
        torch.save(state, part)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a training state onto the CPU; nothing in it is executed.

    Raises:
        UserError: if the file is missing or not a training state.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"nothing to resume: no {path}; leave out --resume to start") from None
    except Exception as error:  # torch.load raises many kinds for a file that is not its own
        raise UserError(
            f"{path} is not a training state ({type(error).__name__}); start anew in another --out"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise UserError(f"{path} is not a training state of gan-restore; start anew in another --out")
    return state
