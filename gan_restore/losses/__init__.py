"""Losses: adversarial, pixel and perceptual, and the pretrained weights that the perceptual loss needs."""

from gan_restore.losses.adversarial import Adversarial, discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import Pixel, pixel_loss
from gan_restore.losses.weights import load_weights, weights_path

__all__ = [
    "Adversarial",
    "PerceptualLoss",
    "Pixel",
    "discriminator_loss",
    "generator_loss",
    "load_weights",
    "pixel_loss",
    "probability",
    "weights_path",
]
