"""`train`: a recipe becomes a run folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gan_restore.files import UserError
from gan_restore.inference.compiling import check_compiler
from gan_restore.inference.devices import Compute
from gan_restore.inference.heap import freed_memory_kept
from gan_restore.inference.models import model_names
from gan_restore.inference.processes import lost_connection_explained
from gan_restore.recipes.base import Recipe
from gan_restore.training import run_folder
from gan_restore.training.trainer import AfterEpoch, Trainer
from gan_restore.training.watching import Watcher


def train(
    recipe: Recipe,
    out: str | Path,
    compute: Compute | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    save_every: float = 10.0,
    keep_every: int = 0,
    after_epoch: AfterEpoch | None = None,
    watchers: Sequence[Watcher] = (),
) -> Path:
    """Train a recipe into the run folder `out`.

    After each epoch, the generator is validated and the training state is saved; within a long epoch, the state is
    saved every `save_every` minutes. `best.safetensors` is the generator with the highest validation PSNR. A recipe
    of two stages keeps that of the first stage as `pretrained.safetensors`. In the adversarial stage, where PSNR is
    misleading, `best.safetensors` is the latest generator; a run that starts from a checkpoint (`start_from`) may
    have that stage alone. After Ctrl-C or SIGTERM, training finishes the current step, saves the state and stops.

    Args:
        out: the run folder (see `run_folder`); it is made if it does not exist.
        compute: device, precision, processes and `torch.compile`; by default one GPU if there is one.
        resume: continue the run in `out`, with the same recipe and data.
        overwrite: remove the run in `out` and start again.
        skip_unreadable: leave out damaged image files instead of raising.
        save_every: minutes between two saves of the state.
        keep_every: epochs between two generators that are kept as `epoch-0010.safetensors`; 0 keeps none.
        after_epoch: called after each epoch with the generator that would be kept and the discriminator, to look
            at them while they learn.
        watchers: follow the run and may steer it, such as `widgets.RunMonitor`.

    Returns:
        The run folder.

    Raises:
        UserError: if the data or the checkpoint to start from cannot be read, or the checkpoint does not fit; if
            `out` holds another run, is in use or cannot be written; if the networks cannot be compiled as asked; if
            the training diverges; if there is too little memory; or if another process ended or cannot be reached.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, once the state is saved.

    Example:
        >>> train(recipes.get("unet-denoiser", "smoke"), "runs/denoiser")  # doctest: +SKIP
    """
    if resume and overwrite:
        raise UserError("--resume continues a run and --overwrite starts again; choose one of them")
    if paths := recipe.local_paths():  # absolute, so that the run can be evaluated from any folder
        absolute: dict[str, Any] = {name: str(Path(path).resolve()) for name, path in paths.items()}
        if recipe.start_from in model_names() and not Path(recipe.start_from).exists():  # a name, not a path
            absolute["start_from"] = recipe.start_from
        recipe = dataclasses.replace(recipe, **absolute)
    out, compute = Path(out), (compute or Compute()).for_training()
    fabric = compute.fabric()
    with lost_connection_explained(), run_folder.locked(out, fabric), freed_memory_kept():
        state = run_folder.load_run(out, recipe, fabric.print) if resume else None
        if not resume and not overwrite:
            run_folder.check_new(out)
        if compute.compile != "off":
            torch.compiler.reset()  # it stops after eight variants of a function, those of earlier runs included
        check_compiler(compute.compile, fabric.device)
        images = recipe.images("train", skip_unreadable=skip_unreadable)
        val_images = recipe.images("val", skip_unreadable=skip_unreadable)
        trainer = Trainer(
            recipe,
            out,
            fabric,
            images,
            val_images,
            workers=compute.workers,
            save_every=save_every,
            keep_every=keep_every,
            after_epoch=after_epoch,
            watchers=watchers,
            compile=compute.compile,
        )
        if state is not None:
            trainer.load_state(state)
        elif recipe.start_from:
            trainer.start_from(recipe.start_from)
        if fabric.is_global_zero:  # nothing is written before all checks have passed
            run_folder.start(out, recipe, overwrite)
            run_folder.record_environment(out, compute.environment(fabric.device), trainer.step)
        trainer.run()
    return out
