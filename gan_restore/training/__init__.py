"""Training: the discriminator and generator steps, and the loop around them."""

from gan_restore.training.loop import ROWS_PER_EPOCH, train
from gan_restore.training.steps import discriminator_step, generator_step, generator_terms

__all__ = ["ROWS_PER_EPOCH", "discriminator_step", "generator_step", "generator_terms", "train"]
