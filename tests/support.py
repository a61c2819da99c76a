"""Helpers that the tests share: odd sizes, image files, tiny recipes and data sets, comparison of weights."""

import io
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image
from torch import nn

from gan_restore import recipes
from gan_restore.data.datasets import Images
from gan_restore.inference import models
from gan_restore.inference.checkpoints import save_generator
from gan_restore.inference.models import Card
from gan_restore.recipes.base import Recipe, Scale
from gan_restore.recipes.unet_denoiser import UnetDenoiser

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

ODD = [(37, 31), (64, 48), (16, 90)]  # sizes that no network likes

TINY = {  # each with a discriminator, also at smoke
    "unet-denoiser": {"depth": 2, "adversarial_weight": 1e-5},
    "pix2pix": {"levels": 3, "adversarial_weight": 0.1},
    "resnet-gan": {"blocks": 1, "adversarial_weight": 1e-3},
    "face-cgan": {"blocks": 1, "adversarial_weight": 0.1},
    "srgan": {
        "blocks": 1, "pretrain_epochs": 1, "start_from": None, "enlarge": 2, "upsample": "shuffle",
        "learning_rate": 1e-3, "adversarial_learning_rate": 3e-4, "adversarial_weight": 5e-3,
        "discriminator_kind": "published", "adversarial": "bce", "beta1": 0.9,
    },
}  # fmt: skip


def pages_mapped_by_a_tensor(megabytes: int = 128) -> int:
    """Pages that the system maps while a large tensor is filled."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(megabytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


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


def noise_images(*sizes: tuple[int, int], **options: object) -> Images:
    """A data set of random images, height x width each."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 200, (*size, 3), dtype=np.uint8) for size in sizes]
    return Images(arrays, [str(i) for i in range(len(sizes))], "noise", **options)


@dataclass(frozen=True)
class Halved(UnetDenoiser):
    """Super-resolution without a network: the degraded image has half the side; measured on Y."""

    factor, enlarge_to, channel, crop_border, input_name = 2, 0, "Y", 2, "nearest"

    def degradation(self):
        return lambda clean, generator: F.avg_pool2d(clean, 2)

    def as_input(self, degraded):
        return F.interpolate(degraded, scale_factor=2)

    def baselines(self):
        return {"bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")}


class Dot:
    """One white block instead of scratches. The seed decides its place."""

    def with_mask(self, clean, generator):
        mask = torch.zeros_like(clean[:, :1])
        top = int(torch.randint(clean.shape[-2] - 4, (), generator=generator))
        mask[..., top : top + 4, 3:7] = 1
        return torch.where(mask > 0, 1.0, clean), mask

    def __call__(self, clean, generator):
        return self.with_mask(clean, generator)[0]


@dataclass(frozen=True)
class Dotted(UnetDenoiser):
    """Damage whose mask is known: `Dot`."""

    enlarge_to = 0

    def degradation(self):
        return Dot()

    def baselines(self):
        return {"unchanged": lambda degraded: degraded}

    def oracles(self):
        return {"gray where damaged": lambda degraded, mask: torch.where(mask > 0, 0.5, degraded)}


CARD: Card = {
    "purpose": "scratched photos",
    "trained_on": [{"data": "faces", "images": 1500, "licence": "no terms known"}],
    "steps": 2712,
    "minutes": 19.0,
    "device": "CPU, 1 threads",
    "precision": "bf16-mixed",
    "versions": {"python": "3.11.7", "torch": "2.15.0"},
    "commit": "0123456789012345678901234567890123456789",
    "measured": [
        {
            "data": "cbsd68 (all)",
            "n_images": 68,
            "sizes": "321 x 481 to 481 x 321",
            "preparation": "images as they are",
            "damage": "Scratches(), seed 0",
            "channel": "RGB",
            "crop_border": 0,
            "rows": [
                {"method": name, "kind": kind, "psnr": psnr, "ssim": 0.5, "mse": 0.01, "extra": {}, "note": ""}
                for name, kind, psnr in (
                    ("degraded input", "input", 22.0),
                    ("median 3x3", "classical", 23.0),
                    ("inpainting", "classical", 31.0),
                    ("true mask", "oracle", 40.0),
                    ("scratches", "learned", 35.25),
                )
            ],
        }
    ],
    "undamaged": [{"data": "cbsd68 (all)", "n_images": 68, "psnr": 41.5}],
    "robustness": [
        {
            "data": "cbsd68 (all)",
            "n_images": 10,
            "setting": "noise_sigma",
            "values": [0.0, 0.1],
            "psnr": {"degraded input": [22.5, 18.0], "scratches": [35.5, 25.0]},
        }
    ],
}
"""The card of a model that does not exist."""

ENTRY: dict[str, Any] = {
    "card": CARD,
    "recipe": "pix2pix",
    "size": "cpu",
    "seed": 0,
    "changes": {"width": 32},
    "targets": [{"gain": 4.5, "psnr": None, "published": ""}],
    "least_undamaged": 40.0,
    "everywhere": [
        {"data": data, "n_images": 5, "damage": "Scratches()", "preparation": "", "input": 22.0, "model": 35.25}
        for data in ("cbsd68", "set5")
    ],
}
"""What docs/results/models.json holds of a model."""


def save_model(
    name: str = "scratches", recipe: Recipe | None = None, stage: str = "pixel loss", **changes: Any
) -> nn.Module:
    """Write a model with random weights into the folder of the models and return its generator."""
    recipe = recipe or tiny("pix2pix")
    generator = recipe.generator().eval().half()
    save_generator(
        models.MODELS / f"{name}.safetensors", generator, recipe, step=2700, stage=stage, card=CARD | changes
    )
    return generator.float()


def write_notebook(path: Path, *sources: str, parameters: str) -> Path:
    """Write a notebook with a cell of parameters and further cells of code."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (parameters, *sources)])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.cells[0].metadata["tags"] = ["parameters"]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def encoded(suffix: str, **options: object) -> bytes:
    """A small image file in the format of the suffix."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(file, Image.registered_extensions()[suffix], **options)
    return file.getvalue()


def described(orientation: int = 6) -> bytes:
    """EXIF data as a camera writes it, with an orientation."""
    exif = Image.Exif()
    exif.endian = "<"
    exif.update({ExifTags.Base.Artist: "Ada", ExifTags.Base.Orientation: orientation})
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06"}
    exif[ExifTags.IFD.Exif] |= {ExifTags.Base.ExifImageWidth: 32, ExifTags.Base.MakerNote: b"private"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif.tobytes()


def eventually(is_true: Callable[[], object]) -> None:
    """Wait until something is true, at most a minute."""
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def form(photo: bytes, **fields: str) -> tuple[bytes, str]:
    """The body of a multipart form with a photo, and its media type."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
    ]
    head = '--b\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    return "".join([*parts, head]).encode() + photo + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"
