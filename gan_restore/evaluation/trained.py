"""The networks of a run in the table."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from gan_restore.data.layouts import Split
from gan_restore.evaluation.pairs import Pairs
from gan_restore.evaluation.table import Method, Row, evaluate, methods
from gan_restore.files import UserError
from gan_restore.inference.checkpoints import BEST, PRETRAINED, load_generator
from gan_restore.inference.devices import Compute
from gan_restore.inference.restorer import Restorer
from gan_restore.recipes.base import Recipe


def trained(
    path: str | Path, compute: Compute | None = None, split: Split = "test", *, other_data: bool = False
) -> list[Method]:
    """The trained network of a checkpoint or run folder as a method; of a run of two stages, both networks.

    The name of a network of two stages says which of them it is from.
    Each method has a note that says how its epoch was chosen, and whether training used the images of `split`.

    Args:
        path: a run folder or a checkpoint.
        compute: device and precision.
        split: the split of the data that the methods will be measured on.
        other_data: the methods will be measured on another data set than the training set.

    Raises:
        UserError: if there is no checkpoint.

    Example:
        >>> [method.name for method in trained("runs/srgan")]  # doctest: +SKIP
        ['srgan, pixel loss', 'srgan, GAN']
    """
    path = Path(path)
    files = [path / PRETRAINED] if (path / PRETRAINED).is_file() else []
    files.append(path / BEST if path.is_dir() else path)
    loaded = [load_generator(file) for file in files]
    if loaded[-1][2].get("stage") == "pixel loss":  # the run stopped in its first stage: both are equal
        del loaded[1:]
    found = []
    for file, (generator, recipe, facts) in zip(files, loaded, strict=False):
        # The last stage may have a run of its own; the recipe in a checkpoint lacks the path that it started from.
        of_two = recipe.two_stages or ("started_from" in facts and facts.get("stage") != "pixel loss")
        name = f"{recipe.name}, {_stage(file, recipe, facts)}" if of_two else recipe.name
        note = _note(facts, split, other_data)
        restorer = Restorer(generator, compute, recipe)
        found.append(Method(name, "learned", restorer, file.name, note))
    return found


def untrained(recipe: Recipe, compute: Compute | None = None) -> Method:
    """The generator of a recipe as its training begins, as a method: the row that shows what training changed.

    That is a network with initial weights drawn from the recipe's seed, or the one of `start_from`.

    Args:
        recipe: the recipe.
        compute: device and precision.

    Raises:
        UserError: if the checkpoint to start from cannot be read.

    Example:
        >>> from gan_restore import recipes
        >>> untrained(recipes.get("resnet-gan", "smoke")).name
        'resnet-gan, before training'
    """
    torch.manual_seed(recipe.seed)
    generator = load_generator(recipe.start_from)[0] if recipe.start_from else recipe.generator()
    note = f"the weights of {Path(recipe.start_from).name}" if recipe.start_from else ""
    return Method(f"{recipe.name}, before training", "start", Restorer(generator, compute, recipe), note=note)


def _stage(file: Path, recipe: Recipe, facts: dict[str, Any]) -> str:
    pixel_loss = "stage" not in facts and file.name == PRETRAINED  # a checkpoint of an earlier version
    if pixel_loss or facts.get("stage") == "pixel loss":
        return "pixel loss"
    return "GAN" if recipe.adversarial_weight else "perceptual loss"


def _note(facts: dict[str, Any], split: Split, other_data: bool) -> str:
    if "chosen_on" not in facts:  # saved by an earlier version, or by the user
        notes = ["how its epoch was chosen is not recorded"]
    elif facts["chosen_on"] is None:
        step, steps = facts.get("step"), facts.get("steps")
        notes = ["its last epoch" if step == steps else f"after step {step} of {steps}"]
    else:
        chosen = facts["chosen_on"]
        notes = [f"epoch chosen on {chosen['n_images']} images of '{chosen['split']}' (seed {chosen['seed']})"]
        if not other_data and split in ("all", chosen["split"]):
            notes.append(f"'{chosen['split']}' chose this checkpoint's epoch, so its scores there are optimistic")
    if not other_data and split in ("all", "train"):
        notes.append("trained on 'train', so its scores there are optimistic")
    return "; ".join(notes)


def evaluate_checkpoint(
    path: str | Path,
    data: str | None = None,
    split: Split = "test",
    limit: int = 0,
    compute: Compute | None = None,
    *,
    skip_unreadable: bool = False,
) -> list[Row]:
    """The table of a checkpoint or run folder: the input, the classical methods and the trained networks.

    Args:
        path: a run folder or a checkpoint.
        data: clean images; by default those that the run was trained on.
        split: the split of them to measure on.
        limit: number of images, a sample drawn with the recipe's seed; 0 takes all.
        compute: device and precision.
        skip_unreadable: leave out image files that cannot be read instead of raising.

    Raises:
        UserError: if the checkpoint or the data cannot be read, or `limit` is negative.

    Example:
        >>> rows = evaluate_checkpoint("runs/srgan", limit=20)  # doctest: +SKIP
    """
    _, trained_by, facts = load_generator(path)
    recipe = dataclasses.replace(trained_by, data=trained_by.data if data is None else data)
    if recipe.data is None and facts.get("own_data"):
        raise UserError(f"{path} was trained on a data set of its own; name the images to evaluate on by --data")
    if limit < 0:
        raise UserError(f"limit must be at least 0, not {limit}")
    images = recipe.images(split, skip_unreadable=skip_unreadable).sample(limit, recipe.seed)
    pairs = Pairs(images, recipe)
    networks = trained(path, compute, split, other_data=_other_data(data, trained_by, facts))
    return evaluate(methods(recipe, pairs) + networks, pairs, recipe, f"{images.source} ({split})")


def _other_data(data: str | None, recipe: Recipe, facts: dict[str, Any]) -> bool:
    """Whether `data` is certainly not the training set. (A checkpoint alone does not hold the path of its data.)"""
    if data is None or (recipe.data is None and facts.get("own_data")):
        return False
    return recipe.data is None or Path(data).resolve() != Path(recipe.data).resolve()
