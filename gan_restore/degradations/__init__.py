"""Degradations: synthetic damage, so that the clean image is known.

A degradation is any callable `(clean, generator) -> degraded` on a batch N x 3 x H x W in [0, 1], on the batch's
device. Its randomness comes from the `torch.Generator` that it is given: the same seed on the same kind of device
gives the same damage. A setting of type `Range` is a number, or a pair (low, high) from which each image draws its
own value.
"""

from gan_restore.degradations.base import (
    Compose,
    Degradation,
    Range,
    Settings,
    bounds,
    random_seed,
    sample_uniform,
    seeded,
)
from gan_restore.degradations.blind import BlindFace
from gan_restore.degradations.blur_and_codec import (
    JPEG,
    Downsample,
    GaussianBlur,
    LowResolution,
    resize,
    shrink_each,
)
from gan_restore.degradations.noise import GaussianNoise, SaltAndPepper
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.prints import OldPrint, toned
from gan_restore.degradations.scratches import Scratches

__all__ = [
    "JPEG",
    "BlindFace",
    "Compose",
    "Degradation",
    "Downsample",
    "GaussianBlur",
    "GaussianNoise",
    "LowResolution",
    "OldPrint",
    "Range",
    "SaltAndPepper",
    "ScratchOverlay",
    "Scratches",
    "Settings",
    "bounds",
    "random_seed",
    "resize",
    "sample_uniform",
    "seeded",
    "shrink_each",
    "toned",
]
