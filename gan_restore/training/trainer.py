"""The training loop: steps, validation after each epoch, checkpoints.

Every random choice of step `n` (order, crops, damage, dropout) depends only on (seed, n) and, with several
processes, on the process. So a run that was stopped and resumed equals one that never stopped, on the CPU bit by
bit.
"""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning_fabric
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from gan_restore.data.batches import Batches
from gan_restore.data.datasets import Images
from gan_restore.degradations.base import random_seed
from gan_restore.files import UserError
from gan_restore.inference.checkpoints import BEST, EPOCH, LAST, PRETRAINED, save_generator, save_state
from gan_restore.inference.compiling import Compile
from gan_restore.recipes.base import Recipe
from gan_restore.training import run_folder
from gan_restore.training.examples import degraded_and_clean
from gan_restore.training.log import Log, diverged
from gan_restore.training.memory import memory_errors_explained
from gan_restore.training.parts import Parts
from gan_restore.training.schedule import learning_rates
from gan_restore.training.steps import discriminator_step, generator_step, step_in_parts
from gan_restore.training.stop import stop_on_signal
from gan_restore.training.validation import Validation, evaluation_mode
from gan_restore.training.watching import Watcher, view, viewed_pairs

ROWS_PER_EPOCH = 10
"""Number of rows that an epoch adds to metrics.csv."""

AfterEpoch = Callable[[nn.Module, nn.Module | None], None]
"""(generator, discriminator or None) -> None, both in evaluation mode and without gradients."""


class Trainer:
    """The counters of a run and the loop over its steps.

    Args:
        recipe: what to train.
        out: the run folder.
        fabric: a launched Fabric.
        images: the training split.
        val_images: the validation split.
        workers: number of processes that prepare batches.
        save_every, keep_every, after_epoch, watchers: see `train`.
        compile: how the networks are compiled (see `Compute`).
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        fabric: lightning_fabric.Fabric,
        images: Images,
        val_images: Images,
        workers: int = 0,
        save_every: float = 10.0,
        keep_every: int = 0,
        after_epoch: AfterEpoch | None = None,
        watchers: Sequence[Watcher] = (),
        compile: Compile = "off",
    ) -> None:
        self.recipe, self.out, self.fabric, self.workers = recipe, out, fabric, workers
        self.save_every, self.keep_every, self.after_epoch = save_every, keep_every, after_epoch
        share = fabric.world_size * recipe.accumulate
        if recipe.batch_size % share:
            raise UserError(
                f"a batch of {recipe.batch_size} cannot be divided evenly by {fabric.world_size} devices x "
                f"accumulate {recipe.accumulate}"
            )
        self.batches = Batches(
            images,
            recipe.image_size,
            recipe.batch_size,
            recipe.seed,
            recipe.augment,
            recipe.crops_per_image,
            fabric.global_rank,
            fabric.world_size,
        )
        self.validation, self.watchers = Validation(val_images, recipe), watchers
        self.viewed = viewed_pairs(val_images, recipe) if watchers else []
        self.data = run_folder.fingerprint(images, val_images)
        self.total = recipe.epochs * len(self.batches)
        self.first_stage = recipe.pretrain_epochs * len(self.batches)
        """Number of steps with the pixel loss alone."""
        if self.first_stage and not recipe.two_stages:  # no second stage follows
            self.first_stage = self.total
        self.step, self.best, self.seconds = 0, -math.inf, 0.0
        self.rate_factor = 1.0
        """The learning rates of the recipe are multiplied by it; a watcher may change it."""
        self.log = Log(out, fabric)
        self.compile, self.parts = compile, Parts(recipe, fabric, compile)
        self.started_from: dict[str, Any] | None = None
        """The checkpoint whose weights the generator started from, as the facts name it (see `_facts`)."""

    def start_from(self, path: str) -> None:
        """Begin with the weights of a checkpoint (see `Parts.start_from`).

        Raises:
            UserError: if it cannot be read or does not fit.
        """
        self.started_from = self.parts.start_from(path)

    def run(self) -> None:
        """Train from the current step to the last one.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once the state is saved.
            UserError: if the training diverges, there is too little memory, or a file cannot be written.
        """
        progress = tqdm(
            total=self.total,
            initial=self.step,
            desc=f"{self.recipe.name} {self.recipe.scale}, {self.fabric.strategy.precision.precision}",
            unit="step",
            disable=not self.fabric.is_global_zero or any(watcher.shows_progress for watcher in self.watchers),
        )
        started, row_every = time.perf_counter() - self.seconds, max(1, len(self.batches) // ROWS_PER_EPOCH)
        saved = self.seconds
        explained = memory_errors_explained(self.recipe, self.fabric.device)
        with contextlib.ExitStack() as watched, stop_on_signal(self.fabric) as agreed, explained, progress:
            for watcher in self.watchers:
                watched.enter_context(watcher.watching(self))
            for batch in self.batches.loader(self.step, self.total, self.workers):
                self.log.add(self.training_step(batch))
                self.step += 1
                self.seconds = time.perf_counter() - started
                epoch_ends = self.step % len(self.batches) == 0
                stop = any(watcher.after_step(self) for watcher in self.watchers)  # may have paused
                started = time.perf_counter() - self.seconds
                # Asked once a step, so that the message says what was done.
                stopping, save_due = agreed(stop, self.seconds - saved >= 60 * self.save_every)
                if self.step % row_every == 0 or epoch_ends:
                    self.log.check_finite(self.step)
                    self._log(progress, self._validate_and_keep() if epoch_ends else {})
                    views = [view(self, pair) for pair in self.viewed] if epoch_ends else []
                    for watcher in self.watchers:
                        watcher.after_row(self, views)
                if epoch_ends or stopping or save_due:
                    self._save_state()
                    saved = self.seconds
                if epoch_ends and self.after_epoch is not None:
                    with evaluation_mode(self.parts.kept, self.parts.discriminator):
                        self.after_epoch(self.parts.kept, self.parts.discriminator)
                progress.update()
                if stopping and self.step < self.total:
                    progress.close()
                    self.fabric.print(
                        f"Stopped after step {self.step} of {self.total}. The state is saved in {self.out / LAST}; "
                        "continue with the same command and --resume."
                    )
                    raise KeyboardInterrupt

    def training_step(self, batch: Tensor) -> dict[str, Tensor]:
        """Update both networks on one batch; they share one forward pass of the generator.

        Args:
            batch: uint8 crops as `Batches` makes them, N x C x H x W.

        Returns:
            The losses, as scalars without gradients (see `steps`).
        """
        recipe, fabric = self.recipe, self.fabric
        if self.compile == "cuda-graphs":
            torch.compiler.cudagraph_mark_step_begin()  # its results share memory with those of the last step
        # Dropout. The first process has no number of its own: it draws what a single process would.
        torch.manual_seed(
            random_seed(recipe.seed, 3, self.step, *([fabric.global_rank] if fabric.global_rank else []))
        )
        parts, losses = self.parts, dict[str, Tensor]()
        rates = learning_rates(recipe, self.step, self.first_stage, self.total)
        self.rate, d_rate = (self.rate_factor * rate for rate in rates)
        for optimizer, rate in ((parts.g_optimizer, self.rate), (parts.d_optimizer, d_rate)):
            for group in optimizer.param_groups if optimizer is not None else ():
                group["lr"] = rate
        degraded, clean = degraded_and_clean(batch, recipe, self.step, fabric.global_rank, fabric.device)
        discriminator, perceptual = parts.discriminator, parts.perceptual
        if self.step < self.first_stage:
            discriminator = perceptual = None
        if recipe.accumulate > 1:
            adversarial = discriminator is not None
            losses = step_in_parts(parts, adversarial, degraded, clean, fabric.backward, perceptual)
        else:
            inputs = (degraded, clean, parts.generator(degraded), recipe, fabric.backward)
            if discriminator is not None and parts.d_optimizer is not None:
                losses = discriminator_step(discriminator, parts.d_optimizer, *inputs)
            losses |= generator_step(discriminator, parts.g_optimizer, *inputs, perceptual)
        if parts.ema is not None:
            parts.ema.update_parameters(parts.generator.module)
        return losses

    def _validate_and_keep(self) -> dict[str, float]:
        """Validate the generator that would be used; save it if it is the best, or the latest of the last stage."""
        generator = self.parts.kept
        scores = self.validation.scores(generator, self.fabric)
        if not math.isfinite(scores["val_psnr"]):
            raise diverged(self.out, f"the validation scores after step {self.step} are not finite")
        second_stage = self.recipe.two_stages and self.step > self.first_stage
        names = {}  # of the files to write; True for a generator that was chosen by its score
        if scores["val_psnr"] > self.best or second_stage:
            self.best = scores["val_psnr"]
            names[BEST] = not second_stage
            if self.recipe.two_stages and not second_stage:
                names[PRETRAINED] = True
        epoch = self.step // len(self.batches)
        if self.keep_every and epoch % self.keep_every == 0:
            names[EPOCH.format(epoch)] = False
        for name, chosen in names.items() if self.fabric.is_global_zero else ():
            save_generator(self.out / name, generator, self.recipe, **self._facts(chosen), **scores)
        return scores

    def _facts(self, chosen: bool) -> dict[str, Any]:
        """What a checkpoint says about its generator besides the scores.

        - step, steps: the step after which it was saved, of how many.
        - stage: "adversarial", "perceptual loss" or "pixel loss", by the terms that it was trained with.
        - chosen_on: the images on which its val_psnr was the highest of its stage (see `Validation.images`);
          None for the latest generator of the adversarial stage, and for those of `keep_every`.
        - own_data: whether the data was named by the user, not the photos inside scikit-image.
        - started_from: the file and the step of `start_from`, if the recipe has it.
        """
        stage = "pixel loss"
        parts = self.parts
        if self.step > self.first_stage and (parts.discriminator is not None or parts.perceptual is not None):
            stage = "adversarial" if parts.discriminator is not None else "perceptual loss"
        return {
            "step": self.step,
            "steps": self.total,
            "stage": stage,
            "chosen_on": self.validation.images if chosen else None,
            "own_data": self.recipe.data is not None,
            **({"started_from": self.started_from} if self.started_from else {}),
        }

    def _log(self, progress: tqdm, scores: dict[str, float]) -> None:
        """Add a row to metrics.csv: mean losses since the last row, and the validation scores after an epoch."""
        epoch = self.step / len(self.batches)
        counters = {"step": self.step, "epoch": epoch, "seconds": self.seconds, "lr": self.rate}
        losses = self.log.write_row(counters, scores)
        shown = {"g_loss": "loss", "d_real": "D(real)", "d_fake": "D(fake)"}
        texts = {label: f"{losses[name]:.3g}" for name, label in shown.items() if name in losses}
        if math.isfinite(self.best):
            texts["kept"] = f"{self.best:.2f} dB"
        progress.set_postfix(texts)

    def _save_state(self) -> None:
        self.log.check_finite(self.step)
        self._check_weights()
        state = {
            **self.parts.state_dict(),
            **self.log.state_dict(),
            "started_from": self.started_from,
            "data": self.data,
            "step": self.step,
            "best": self.best,
            "seconds": self.seconds,
            "rate_factor": self.rate_factor,
        }
        if self.fabric.is_global_zero:
            save_state(self.out / LAST, state)
        self.fabric.barrier()  # no process ends before the state is saved

    def _check_weights(self) -> None:
        """Refuse weights that are not finite, which the last step can make of finite losses."""
        for network in filter(None, (self.parts.generator, self.parts.discriminator)):
            if not torch.nn.utils.get_total_norm(list(network.parameters())).isfinite():
                raise diverged(self.out, f"weights not finite after step {self.step}")

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state that a run of the same recipe saved.

        Raises:
            UserError: if the images or the networks have changed since then.
        """
        if state["data"] != self.data:
            where = self.recipe.data or "scikit-image"
            raise UserError(f"the images in {where} have changed since this run started; start again")
        try:
            self.parts.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:  # another network, another optimiser
            reason = str(error).splitlines()[-1].strip()
            raise UserError(
                f"the state in {self.out} does not fit the networks of {self.recipe.name} ({reason}); "
                "resume it with the version of gan-restore that wrote it, or start again in another --out"
            ) from None
        self.started_from = state.get("started_from")  # states of earlier versions lack it
        self.rate_factor = state.get("rate_factor", 1.0)  # and this
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        self.log.load_state_dict(state)
