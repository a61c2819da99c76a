"""Inference: checkpoints, models, devices, and trained generators applied to images and photo files."""

from gan_restore.inference.advice import Advice, advise
from gan_restore.inference.checkpoints import (
    BEST,
    LAST,
    PRETRAINED,
    RECIPE,
    load_card,
    load_facts,
    load_generator,
    load_recipe,
    load_state,
    read_recipe,
    save_generator,
    save_state,
)
from gan_restore.inference.devices import Compute, Device
from gan_restore.inference.environment import commit, device_name, versions
from gan_restore.inference.exporting import export
from gan_restore.inference.models import Card, Measured, best_score, gain, model_names, model_path
from gan_restore.inference.restored_photos import read_mask, restore_file, restore_photo
from gan_restore.inference.restorer import Restorer, load_restorer
from gan_restore.inference.scales import restore_over_scales
from gan_restore.inference.tiles import Tiling, in_tiles
from gan_restore.photos import Photo, PhotoWarning, read_photo, write_photo

__all__ = [
    "BEST",
    "LAST",
    "PRETRAINED",
    "RECIPE",
    "Advice",
    "Card",
    "Compute",
    "Device",
    "Measured",
    "Photo",
    "PhotoWarning",
    "Restorer",
    "Tiling",
    "advise",
    "best_score",
    "commit",
    "device_name",
    "export",
    "gain",
    "in_tiles",
    "load_card",
    "load_facts",
    "load_generator",
    "load_recipe",
    "load_restorer",
    "load_state",
    "model_names",
    "model_path",
    "read_mask",
    "read_photo",
    "read_recipe",
    "restore_file",
    "restore_over_scales",
    "restore_photo",
    "save_generator",
    "save_state",
    "versions",
    "write_photo",
]
