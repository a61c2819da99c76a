"""TensorBoard: the rows of metrics.csv as curves, and images of the validation after each epoch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from gan_restore.files import UserError, install
from gan_restore.training.watching import View, Watcher

if TYPE_CHECKING:
    from gan_restore.training.trainer import Trainer

FOLDER = "tensorboard"
"""The folder inside the run folder that TensorBoard reads: `tensorboard --logdir runs` shows all runs."""


class TensorBoard(Watcher):
    """Writes a run for TensorBoard beside metrics.csv; given to `training.train` as a watcher.

    An image shows the degraded, the restored and the clean photo, and the discriminator's map if there is one.
    In a resumed run, what was written after the saved state is hidden; a run that starts again removes it.

    Raises:
        UserError: if TensorBoard is not installed.

    Example:
        >>> run = train(recipe, "runs/watched", watchers=[TensorBoard()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise UserError(f"--tensorboard needs a package: {install('tensorboard')}") from None
        self._make = SummaryWriter
        self._writer: SummaryWriter | None = None

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Open the writer around the run, in the first process only."""
        if not trainer.fabric.is_global_zero:
            yield
            return
        folder = trainer.out / FOLDER
        if not trainer.step and folder.exists():
            shutil.rmtree(folder)
        self._writer = self._make(folder, purge_step=trainer.step + 1 if trainer.step else None)
        try:
            yield
        finally:
            self._writer.close()
            self._writer = None

    def after_row(self, trainer: Trainer, views: Sequence[View]) -> None:
        """Write the row, and after an epoch the images."""
        if self._writer is None:
            return
        row = trainer.log.rows[-1]
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, trainer.step)
        for view in views:
            images = torch.cat(list(view.images().values()), dim=3)[0].clamp(0, 1)
            self._writer.add_image(f"validation/{view.name}", images, trainer.step)
        if views:
            self._writer.flush()
