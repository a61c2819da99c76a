"""Following a run while it trains: the rows of its log, and what both networks make of validation images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from gan_restore.data.datasets import Images
from gan_restore.evaluation.pairs import Pair, Pairs
from gan_restore.losses.adversarial import probability
from gan_restore.recipes.base import Recipe
from gan_restore.training.validation import evaluation_mode

if TYPE_CHECKING:  # the trainer calls what is defined here
    from gan_restore.training.trainer import Trainer

VIEWED, CROP = 3, 128
"""How many validation images are shown at most, and the side in pixels of the crop from the middle of each."""


@dataclass(frozen=True)
class View:
    """A crop of a validation image after an epoch, each 1 x 3 x H x W in [0, 1] on the CPU.

    Attributes:
        name: the image's name.
        degraded: the degraded image at the size of the clean one.
        restored: by the generator that would be kept.
        clean: the clean image.
        verdict: the discriminator's probability that each place of `restored` is clean, white for clean; None
            without a discriminator.
    """

    name: str
    degraded: Tensor
    restored: Tensor
    clean: Tensor
    verdict: Tensor | None

    def images(self) -> dict[str, Tensor]:
        """Title -> image, for figures."""
        shown = {"degraded": self.degraded, "restored": self.restored, "clean": self.clean}
        return shown | ({} if self.verdict is None else {"D(restored)": self.verdict})


class Watcher:
    """Follows a run, and may steer it: subclasses override what they need.

    The trainer is `train`'s; its `step`, `total`, `log.rows` and `out` say where the run is.

    Attributes:
        shows_progress: whether it stands in for the progress bar.
    """

    shows_progress = False

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Around the whole run, also around one that fails or is stopped."""
        yield

    def after_step(self, trainer: Trainer) -> bool:
        """After each step; returns whether to save and stop. It may wait, and may set `trainer.rate_factor`."""
        return False

    def after_row(self, trainer: Trainer, views: Sequence[View]) -> None:
        """After a row was added to the log; at the end of an epoch with views of validation images."""


def viewed_pairs(images: Images, recipe: Recipe) -> list[Pair]:
    """The first validation images with their damage, cropped."""
    return Pairs(images.sample(VIEWED, recipe.seed), recipe, crop=CROP)[:]


def view(trainer: Trainer, pair: Pair) -> View:
    """What the networks make of a pair now, in evaluation mode."""
    generator, discriminator, recipe = trainer.parts.kept, trainer.parts.discriminator, trainer.recipe
    degraded = pair.degraded.to(trainer.fabric.device)
    verdict = None
    with evaluation_mode(generator, discriminator):
        restored = generator(degraded)
        if discriminator is not None:
            verdict = probability(discriminator(degraded, restored), recipe.adversarial)
            size = restored.shape[-2:]
            verdict = F.interpolate(verdict.reshape(1, 1, *verdict.shape[2:] or (1, 1)), size).expand(-1, 3, -1, -1)
    as_input = recipe.as_input(pair.degraded)
    return View(pair.name, as_input, restored.cpu(), pair.clean, None if verdict is None else verdict.cpu())
