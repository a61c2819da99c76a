"""Losses: adversarial, pixel and perceptual, and the pretrained weights that the perceptual loss needs."""

from gan_restore.losses.adversarial import Adversarial, discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import EfficientNetDistance, Perceptual, PerceptualLoss
from gan_restore.losses.pixel import Pixel, pixel_loss
from gan_restore.losses.weights import efficientnet_weights, load_weights, weights_path

__all__ = [
    "Adversarial",
    "EfficientNetDistance",
    "Perceptual",
    "PerceptualLoss",
    "Pixel",
    "discriminator_loss",
    "efficientnet_weights",
    "generator_loss",
    "load_weights",
    "pixel_loss",
    "probability",
    "weights_path",
]
