"""The run folder: what lies in it, who may write to it, and when it may be resumed.

recipe.json              the recipe
environment.json         versions, commit, device and precision, one entry for each start of the run
metrics.csv              losses and validation scores
last.ckpt                the training state, to resume from
previous.ckpt            the state before, for the case that the last one cannot be read
best.safetensors         the generator to use, with its recipe
pretrained.safetensors   the best generator of the first stage, if the recipe has two
epoch-0010.safetensors   the generator after an epoch, if `train` keeps such
tensorboard              the same curves with images, if `train --tensorboard` was asked for
.lock                    locked while a process trains
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import lightning_fabric

from gan_restore.data.datasets import Images
from gan_restore.files import UserError, read_json, write_json
from gan_restore.inference.checkpoints import (
    BEST,
    EPOCH,
    LAST,
    METRICS,
    PRETRAINED,
    PREVIOUS,
    RECIPE,
    load_state,
    read_recipe,
)
from gan_restore.recipes.base import Recipe

ENVIRONMENT, LOCK = "environment.json", ".lock"

_ROWS_PER_IMAGE = 16
_UNFINISHED = [f".{kind}-*.safetensors" for kind in ("best", "pretrained", "epoch")]
_UNFINISHED += [".last-*.ckpt", ".metrics-*.csv", ".recipe-*.json", ".environment-*.json"]


@contextlib.contextmanager
def locked(folder: Path, fabric: lightning_fabric.Fabric) -> Iterator[None]:
    """Make the run folder and lock it inside the block, so that only one run writes to it.

    The first of several processes takes the lock for all of them. The system releases it if the process is killed.
    A new folder into which nothing was written is removed again, and so are the unfinished files of a killed run.

    Raises:
        UserError: in every process, if another run holds the lock or the folder cannot be written.
    """
    is_new = not folder.exists()
    lock = filelock.FileLock(folder / LOCK, blocking=False)
    problem = None
    if fabric.is_global_zero:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            _remove_unfinished(folder)
        except filelock.Timeout:
            problem = f"{folder} is being trained by another process; wait for it, or choose another --out"
        except OSError as error:
            problem = f"cannot write {folder}: {error.strerror or error}; choose another --out"
    problem = fabric.broadcast(problem)
    if problem:
        raise UserError(problem)
    try:
        yield
    finally:
        # Before the lock is released: a process that waits for the folder must not lose it.
        if is_new and fabric.is_global_zero and [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            with contextlib.suppress(OSError):  # not empty, if a new run has come in between
                folder.rmdir()
        lock.release()


def _remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that `files.writing` leaves when its process is killed."""
    for pattern in _UNFINISHED:
        for path in folder.glob(pattern):
            path.unlink()


def check_new(folder: Path) -> None:
    """Refuse a folder that holds a run.

    Raises:
        UserError: if it does.
    """
    if any((folder / name).exists() for name in (LAST, PREVIOUS)):
        raise UserError(
            f"{folder} already holds a run; pass --resume to continue it, --overwrite to start again, "
            "or another --out"
        )
    if (folder / BEST).exists():
        raise UserError(
            f"{folder} already holds a trained generator, but no training state to resume; pass --overwrite to "
            "start again, or another --out"
        )


def load_run(folder: Path, recipe: Recipe, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Read the training state of a run folder, to continue it with the same recipe.

    Args:
        say: told if the last state cannot be read and the one before it is taken.

    Raises:
        UserError: if there is no state, or the run has another recipe. Paths may differ: data may have moved, and
            whether it is the same is seen by its `fingerprint`.
    """
    try:
        state = load_state(folder / LAST)
    except UserError:
        if not (folder / PREVIOUS).exists():
            raise
        state = load_state(folder / PREVIOUS)
        say(f"{folder / LAST} is missing or damaged; continuing from {PREVIOUS}, saved after step {state['step']}")
    before = read_recipe(folder)
    if type(recipe) is not type(before):
        raise UserError(f"{folder} is a run of {before.name}; resume it with {before.name}")
    if changed := differences(before, recipe):
        raise UserError(f"{folder} was trained with {'; '.join(changed)}; resume with the same flags")
    return state


def differences(before: Recipe, now: Recipe) -> list[str]:
    """The fields in which two recipes differ, apart from paths, with both values."""
    old, new = before.portable().to_dict(), now.portable().to_dict()
    return [f"{name} {old.get(name)}, not {value}" for name, value in new.items() if old.get(name) != value]


def start(folder: Path, recipe: Recipe, overwrite: bool = False) -> None:
    """Write the recipe of a run; with `overwrite`, remove the files of the earlier run first."""
    if overwrite:  # before the recipe is written, so that it never stands beside the state of another run
        remove(folder)
    write_json(folder / RECIPE, recipe.to_dict())


def remove(folder: Path) -> None:
    """Remove the files of a run, if there are any. Other files in its folder are kept."""
    for name in (LAST, PREVIOUS, BEST, PRETRAINED, METRICS, RECIPE, "results.json"):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(EPOCH.replace("{:04}", "*")):
        path.unlink()


def record_environment(folder: Path, environment: dict[str, Any], step: int) -> None:
    """Write what the run is computed with from `step` on to `environment.json`, one entry for each start.

    Raises:
        UserError: if the file cannot be read or written.
    """
    path = folder / ENVIRONMENT
    entries = read_json(path) if step and path.exists() else []
    if not isinstance(entries, list):
        raise UserError(f"{path} does not hold a list; remove it")
    write_json(path, [*entries, {"from_step": step, **environment}])


def fingerprint(*sets: Images) -> str:
    """A hash of the names, sizes and sampled pixels of image sets, to notice data that changed.

    Of every image (and its degraded partner), 16 evenly spaced rows are hashed. A replaced, resized, cropped or
    re-encoded image changes the hash; a change of a few pixels between these rows does not. File times are not
    used, so a copied data set keeps its hash.
    """
    digest = hashlib.sha256()
    for images in sets:
        for arrays in (images.arrays, images.degraded or []):
            digest.update(f"{len(arrays)}\n".encode())
            for name, array in zip(images.names, arrays, strict=False):
                rows = array[:: max(1, len(array) // _ROWS_PER_IMAGE)]
                digest.update(f"{name} {array.shape}\n".encode(errors="surrogateescape"))
                digest.update(rows.tobytes())
    return digest.hexdigest()
