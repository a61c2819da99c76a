"""The training loop: epochs of rounds, validated, kept, saved.

Every random choice of step `n` (order, crops, damage, dropout) is drawn from (seed, n) alone, so a run that
was killed and resumed equals one that never stopped, bit for bit on the CPU.
"""

import dataclasses
import hashlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning_fabric
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from gan_restore.data.batches import Batches
from gan_restore.data.datasets import Images
from gan_restore.degradations.base import random_seed, seeded
from gan_restore.evaluation.pairs import make_pairs, restore_all, score
from gan_restore.files import UserError, write_csv, write_json
from gan_restore.images import enlarge_to, to_tensor
from gan_restore.inference.checkpoints import (
    BEST,
    LAST,
    METRICS,
    PRETRAINED,
    RECIPE,
    load_state,
    read_recipe,
    save_generator,
    save_state,
)
from gan_restore.inference.devices import Compute
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.recipes.base import Recipe
from gan_restore.training.steps import discriminator_step, generator_step

ROWS_PER_EPOCH = 10  # rows of metrics.csv


def train(
    recipe: Recipe,
    out: str | Path,
    compute: Compute | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    skip_unreadable: bool = False,
) -> Path:
    """Train a recipe into the run folder `out` and return that folder.

    After each epoch the state is saved, the generator is validated, and kept if it is the best so far. A recipe
    of two stages keeps the best of the first as `pretrained.safetensors`; in the second, which PSNR is no judge
    of, each epoch's generator is kept. Ctrl-C finishes the step, saves the state and says how to go on.

    Args:
        resume: go on from the state in `out`, which must be of the same recipe.
        overwrite: start anew where `out` already holds a run.
        skip_unreadable: leave out damaged image files instead of raising.

    Raises:
        UserError: if the data cannot be read, or `out` holds another run or cannot be written.
        KeyboardInterrupt: after a Ctrl-C, once the state is safe.

    Example:
        >>> train(recipes.get("unet-denoiser", "smoke"), "runs/denoiser")
    """
    if recipe.data is not None:  # the run can then be evaluated from anywhere
        recipe = dataclasses.replace(recipe, data=str(Path(recipe.data).resolve()))
    out, fabric = Path(out), (compute or Compute()).fabric()
    state = _open_run(recipe, out, resume, overwrite)
    images = recipe.images("train", skip_unreadable=skip_unreadable)
    val_images = recipe.images("val", skip_unreadable=skip_unreadable)
    run = _Run(recipe, out, fabric, images, val_images, compute or Compute())
    if state is None and fabric.is_global_zero:  # now nothing can fail before the first step
        if overwrite:  # before the new recipe is written, so that it never stands beside the old run's state
            for name in (LAST, BEST, PRETRAINED, METRICS, "results.json"):
                (out / name).unlink(missing_ok=True)
        write_json(out / RECIPE, recipe.to_dict())
    return run.loop(state)


def _open_run(recipe: Recipe, out: Path, resume: bool, overwrite: bool) -> dict | None:
    if resume and overwrite:
        raise UserError("--resume goes on and --overwrite starts anew; choose one of them")
    if resume:
        state = load_state(out / LAST)
        before = read_recipe(out)
        if type(recipe) is not type(before):
            raise UserError(f"{out} is a run of {before.name}; resume it with {before.name}")
        values = {f.name: (getattr(before, f.name), getattr(recipe, f.name)) for f in dataclasses.fields(recipe)}
        changed = [f"{name} {old}, not {new}" for name, (old, new) in values.items() if old != new]
        if changed:
            raise UserError(f"{out} was trained with {'; '.join(changed)}; resume with the same flags")
        return state
    if not overwrite and ((out / LAST).exists() or (out / BEST).exists()):
        raise UserError(
            f"{out} already holds a run; pass --resume to go on, --overwrite to start anew, or another --out"
        )
    return None


class _Run:
    """What the loop holds between steps."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        fabric: lightning_fabric.Fabric,
        images: Images,
        val_images: Images,
        compute: Compute,
    ) -> None:
        self.recipe, self.out, self.fabric, self.workers = recipe, out, fabric, compute.workers
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
        self.val_pairs = make_pairs(val_images, recipe, recipe.val_images, crop=256)
        self.total = recipe.epochs * len(self.batches)
        self.data_mark = hashlib.sha256("\n".join(images.names + val_images.names).encode()).hexdigest()
        self.step, self.best, self.seconds = 0, -math.inf, 0.0
        self.rows: list[dict[str, float]] = []
        self.sums: dict[str, Tensor] = {}

        torch.manual_seed(recipe.seed)
        generator = recipe.generator().to(memory_format=torch.channels_last)
        self.generator, self.g_optimizer = fabric.setup(generator, self._adam(generator))
        self.discriminator = self.d_optimizer = self.perceptual = None
        if recipe.adversarial_weight:
            discriminator = recipe.discriminator().to(memory_format=torch.channels_last)
            self.discriminator, self.d_optimizer = fabric.setup(discriminator, self._adam(discriminator))
        if recipe.perceptual_weight:
            self.perceptual = PerceptualLoss(recipe.vgg_weights).to(fabric.device)
        self.first_stage = recipe.pretrain_epochs * len(self.batches)
        if self.first_stage and not recipe.two_stages:  # no second one follows
            self.first_stage = self.total
        average = get_ema_multi_avg_fn(recipe.ema)
        self.ema = AveragedModel(generator, multi_avg_fn=average) if recipe.ema else None

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        fused = self.fabric.device.type in ("cpu", "cuda")
        betas = (self.recipe.beta1, 0.999)
        return torch.optim.Adam(network.parameters(), lr=self.recipe.learning_rate, betas=betas, fused=fused)

    def _stateful(self) -> dict[str, torch.optim.Optimizer | nn.Module]:
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "g_optimizer": self.g_optimizer,
            "d_optimizer": self.d_optimizer,
            "ema": self.ema,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def loop(self, state: dict | None) -> Path:
        if state is not None:
            self._load(state)
        progress = tqdm(
            total=self.total,
            initial=self.step,
            desc=f"{self.recipe.name} {self.recipe.scale}",
            unit="step",
            disable=not self.fabric.is_global_zero,
        )
        started, row_every = time.perf_counter() - self.seconds, max(1, len(self.batches) // ROWS_PER_EPOCH)
        with _finish_step_on_interrupt() as interrupted, progress:
            for batch in self.batches.loader(self.step, self.total, self.workers):
                losses = self.one_step(batch)
                for name, value in losses.items():
                    self.sums[name] = self.sums.get(name, 0) + torch.stack([value, torch.ones_like(value)])
                self.step += 1
                self.seconds = time.perf_counter() - started
                epoch_ends = self.step % len(self.batches) == 0
                stopping = interrupted.is_set()  # asked once, so that what is said is what was done
                if self.step % row_every == 0 or epoch_ends:
                    self._log(progress, self._validate_and_keep() if epoch_ends else {})
                if epoch_ends or stopping:
                    self._save()
                progress.update()
                if stopping and self.step < self.total:
                    progress.close()
                    self.fabric.print(
                        f"Stopped after step {self.step} of {self.total}; the state is in {self.out / LAST}. "
                        "Go on with the same command and --resume."
                    )
                    raise KeyboardInterrupt
        return self.out

    def one_step(self, batch: Tensor) -> dict[str, Tensor]:
        """One batch of uint8 crops through both players; one forward pass of the generator serves both."""
        recipe = self.recipe
        torch.manual_seed(random_seed(recipe.seed, 3, self.step))  # dropout
        self._set_learning_rates()
        degraded, clean = self._pair(batch)
        restored = self.generator(degraded)
        losses, discriminator, perceptual = {}, self.discriminator, self.perceptual
        if self.step < self.first_stage:
            discriminator = perceptual = None
        game = (degraded, clean, restored, recipe, self.fabric.backward)
        if discriminator is not None:
            losses = discriminator_step(discriminator, self.d_optimizer, *game)
        losses |= generator_step(discriminator, self.g_optimizer, *game, perceptual)
        if self.ema is not None:
            self.ema.update_parameters(self.generator.module)
        return losses

    def _pair(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Bytes -> (degraded, clean) on the device; a batch of 2 or 6 channels brings its own damaged images."""
        images = enlarge_to(to_tensor(batch.to(self.fabric.device, non_blocking=True)), self.recipe.image_size)
        parts = images.chunk(2, dim=1) if images.shape[1] in (2, 6) else (images,)
        parts = [part.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last) for part in parts]
        if len(parts) == 2:
            return parts[1], parts[0]
        damage = seeded(random_seed(self.recipe.seed, 4, self.step, self.fabric.global_rank), self.fabric.device)
        return self.recipe.degradation()(parts[0], damage), parts[0]

    def _set_learning_rates(self) -> None:
        """Each stage has its own rate and, with the cosine, its own fall to zero."""
        recipe, start, end = self.recipe, 0, self.first_stage or self.total
        rate = recipe.learning_rate
        if self.first_stage and self.step >= self.first_stage:
            start, end, rate = self.first_stage, self.total, recipe.adversarial_learning_rate or rate
        fall = 1.0
        if recipe.lr_decay == "cosine":
            fall = 0.5 * (1 + math.cos(math.pi * (self.step - start) / (end - start)))
        self.rate = rate * fall
        rates = {self.g_optimizer: rate, self.d_optimizer: recipe.discriminator_learning_rate or rate}
        for optimizer, own in rates.items():
            for group in optimizer.param_groups if optimizer else ():
                group["lr"] = own * fall

    def _validate_and_keep(self) -> dict[str, float]:
        """Validate the generator that would be used, and keep its weights if they are the best so far."""
        kept = self.generator.module
        if self.ema is not None:
            kept = self.ema.module
            for average, current in zip(kept.buffers(), self.generator.module.buffers(), strict=True):
                average.copy_(current)
        scores = self._validate(kept)
        if not math.isfinite(scores["val_psnr"]):
            raise UserError(f"training diverged before step {self.step}; lower learning_rate or adversarial_weight")
        second_stage = self.recipe.two_stages and self.step > self.first_stage
        if scores["val_psnr"] > self.best or second_stage:
            self.best = max(self.best, scores["val_psnr"])
            facts = {"step": self.step, "own_data": self.recipe.data is not None, **scores}
            for name in (BEST, PRETRAINED) if self.recipe.two_stages and not second_stage else (BEST,):
                if self.fabric.is_global_zero:
                    save_generator(self.out / name, kept, self.recipe, **facts)
        return scores

    @torch.no_grad()
    def _validate(self, generator: nn.Module) -> dict[str, float]:
        """Mean PSNR and SSIM on validation images, always under the same damage."""
        generator.eval()
        restored = restore_all(lambda degraded: generator(degraded.to(self.fabric.device)), self.val_pairs)
        generator.train()
        scores = score(restored, self.val_pairs, self.recipe.crop_border, self.recipe.channel)
        return {f"val_{name}": float(np.mean(scores[name])) for name in ("psnr", "ssim")}

    def _log(self, progress: tqdm, scores: dict[str, float]) -> None:
        """Add a row to metrics.csv: means since the last row, and after an epoch the validation scores."""
        means = {name: (total[0] / total[1]).item() for name, total in self.sums.items()}
        self.sums = {}
        row = {
            "step": self.step,
            "epoch": self.step / len(self.batches),
            "seconds": self.seconds,
            "lr": self.rate,
        }
        self.rows.append(row | means | scores)
        if self.fabric.is_global_zero:
            write_csv(self.out / METRICS, self.rows)
        shown = {"g_loss": "loss", "d_real": "D(real)", "d_fake": "D(fake)"}
        texts = {label: f"{means[name]:.3g}" for name, label in shown.items() if name in means}
        if math.isfinite(self.best):
            texts["best val"] = f"{self.best:.2f} dB"
        progress.set_postfix(texts)

    def _save(self) -> None:
        state = {name: part.state_dict() for name, part in self._stateful().items()}
        state |= {
            "data": self.data_mark,
            "step": self.step,
            "best": self.best,
            "seconds": self.seconds,
            "sums": self.sums,
            "rows": self.rows,
        }
        if self.fabric.is_global_zero:
            save_state(self.out / LAST, state)

    def _load(self, state: dict) -> None:
        if state.get("data") != self.data_mark:
            raise UserError(f"the images in {self.recipe.data} are not those of this run any more; start anew")
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        self.sums = {name: total.to(self.fabric.device) for name, total in state["sums"].items()}
        self.rows = state["rows"]


@contextmanager
def _finish_step_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or termination) into an event; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def ask(number: int, _frame: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
