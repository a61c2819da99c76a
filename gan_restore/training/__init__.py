"""Training: the discriminator and generator steps, the loop around them, and the run folder."""

from gan_restore.training.loop import ROWS_PER_EPOCH, Trainer, train
from gan_restore.training.steps import discriminator_step, generator_step, generator_terms
from gan_restore.training.validation import Validation

__all__ = [
    "ROWS_PER_EPOCH",
    "Trainer",
    "Validation",
    "discriminator_step",
    "generator_step",
    "generator_terms",
    "train",
]
