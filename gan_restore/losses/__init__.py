"""Losses: adversarial, pixel and perceptual, and the pretrained weights that the last one needs."""

from gan_restore.losses.adversarial import Adversarial, discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import Pixel, pixel_loss
from gan_restore.losses.weights import read_weights, weights_file

__all__ = [
    "Adversarial",
    "PerceptualLoss",
    "Pixel",
    "discriminator_loss",
    "generator_loss",
    "pixel_loss",
    "probability",
    "read_weights",
    "weights_file",
]
