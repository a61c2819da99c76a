"""A trained generator on a real photo, keeping what the photo came with."""

import dataclasses
from pathlib import Path

import torch.nn.functional as F

from gan_restore.baselines import Restorer
from gan_restore.checkpoints import load_generator
from gan_restore.devices import Compute
from gan_restore.evaluation import on_device
from gan_restore.images import Photo, read_photo, write


def load_restorer(checkpoint: str | Path, compute: Compute | None = None) -> Restorer:
    """A callable `degraded -> restored` from a checkpoint or run folder.

    Raises:
        UserError: if there is no such checkpoint.

    Example:
        >>> restore = load_restorer("runs/denoiser")
        >>> restored = restore(images.read("noisy.png"))
    """
    return on_device(load_generator(checkpoint)[0], compute)


def restore_photo(photo: Photo, restore: Restorer) -> Photo:
    """The photo restored: same transparency, gray mode and bit depth; larger only by super-resolution."""
    rgb, alpha = restore(photo.rgb), photo.alpha
    if alpha is not None and alpha.shape[-2:] != rgb.shape[-2:]:
        alpha = F.interpolate(alpha, size=rgb.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    return dataclasses.replace(photo, rgb=rgb, alpha=alpha)


def restore_file(source: str | Path, target: str | Path, restore: Restorer) -> None:
    """Restore one image file into another.

    Raises:
        UserError: if the source cannot be read or the target not written.
    """
    write(target, restore_photo(read_photo(source), restore))
