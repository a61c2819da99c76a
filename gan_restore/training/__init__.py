"""Training: the discriminator and generator steps, the loop around them, and the run folder."""

from gan_restore.training.loop import train
from gan_restore.training.steps import discriminator_step, generator_step, generator_terms
from gan_restore.training.tensorboard import TensorBoard
from gan_restore.training.trainer import ROWS_PER_EPOCH, Trainer
from gan_restore.training.validation import Validation
from gan_restore.training.watching import View, Watcher

__all__ = [
    "ROWS_PER_EPOCH",
    "TensorBoard",
    "Trainer",
    "Validation",
    "View",
    "Watcher",
    "discriminator_step",
    "generator_step",
    "generator_terms",
    "train",
]
