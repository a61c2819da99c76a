"""Helpers that the tests share: odd sizes, a tiny recipe, comparison of weights."""

from pathlib import Path

import torch

from gan_restore import recipes
from gan_restore.recipes.base import Recipe, Scale

ODD = [(37, 31), (64, 48), (16, 90)]  # sizes that no network likes

TINY = {
    "unet-denoiser": {"depth": 2},
    "pix2pix": {"levels": 3},
    "resnet-gan": {"blocks": 1},
    "face-cgan": {"blocks": 1},
    "srgan": {"blocks": 1, "pretrain_epochs": 1},
}


def tiny(name: str = "unet-denoiser", scale: Scale = "smoke", **changes: object) -> Recipe:
    """A recipe shrunk to seconds."""
    small = {
        "width": 4,
        "discriminator_width": 4,
        "image_size": 32,
        "batch_size": 4,
        "crops_per_image": 1,
        "epochs": 2,
    }
    return recipes.get(name, scale, **(small | TINY[name] | changes))


def same_weights(a: Path, b: Path) -> bool:
    from safetensors.torch import load_file

    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
