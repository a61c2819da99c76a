"""What a model does to kinds of photos: in colour, gray, sepia, faded, dark, negative, and of several sizes.

    python benchmarks/photo_kinds.py scratches DATA

DATA is a folder that holds cbsd68/. Each photo is given the tone of each kind, damaged by the model's own recipe
and restored. The table says how near the result is to the undamaged photo of the same tone, and how far the colour
of the repaired pixels is off. The model must bring every kind nearer, and must not repair a gray photo in colour.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor
from tqdm.auto import tqdm

from gan_restore.cli.arguments import parse
from gan_restore.data.datasets import load
from gan_restore.degradations import random_seed, seeded
from gan_restore.files import UserError, write_json
from gan_restore.images import to_tensor
from gan_restore.inference import Compute, load_generator, load_restorer
from gan_restore.metrics import psnr

_LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
_REPAIRED = 2 / 255  # pixels that a model changed by more than this


def _gray(photo: Tensor) -> Tensor:
    return (photo * _LUMA).sum(1, keepdim=True).expand_as(photo)


def _sepia(photo: Tensor) -> Tensor:
    gray = _gray(photo)
    return (gray + gray * (1 - gray) * torch.tensor([0.35, 0.05, -0.45]).view(1, 3, 1, 1)).clamp(0, 1)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": lambda photo: photo,
    "gray": _gray,
    "sepia": _sepia,
    "faded": lambda photo: 0.3 + 0.5 * photo,
    "dark": lambda photo: 0.35 * photo,
    "negative": lambda photo: 1 - photo,
    "dark negative": lambda photo: 0.5 * (1 - photo),
    "64 pixels": lambda photo: _resized(photo, 64),
    "128 pixels": lambda photo: _resized(photo, 128),
    "1024 pixels": lambda photo: _resized(photo, 1024),
    "2048 pixels": lambda photo: _resized(photo, 2048),
}
"""The tone or the size that each kind gives to a colour photo, N x 3 x H x W in [0, 1]."""


def _resized(photo: Tensor, longer: int) -> Tensor:
    by = longer / max(photo.shape[-2:])
    size = [max(16, round(side * by)) for side in photo.shape[-2:]]
    return F.interpolate(photo, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def chroma_shift(restored: Tensor, clean: Tensor, degraded: Tensor) -> float:
    """Mean distance of the colour (Cb and Cr) of the repaired pixels from the true one, in 1/255."""
    repaired = (restored - degraded).abs().amax(1, keepdim=True) > _REPAIRED
    error = restored - clean
    luma = (error * _LUMA).sum(1, keepdim=True)
    blue, red = (error[:, 2:] - luma) / 1.772, (error[:, :1] - luma) / 1.402
    return torch.hypot(blue, red)[repaired].mean().item() * 255 if repaired.any() else 0.0


@torch.no_grad()
def measure(
    model: tyro.conf.Positional[str],
    data: tyro.conf.Positional[Path],
    out: Path = Path("docs/results/photo_kinds.json"),
    limit: int = 0,
) -> None:
    """Measure what a model does to each kind of photo.

    Example: python benchmarks/photo_kinds.py scratches path/to/data

    Args:
        model: A model's name, a checkpoint or a run folder.
        data: The folder of the data sets.
        out: The file for the results.
        limit: Number of photos; 0 takes all.
    """
    recipe, compute = load_generator(model)[1], Compute()
    if recipe.factor > 1:
        raise UserError(f"{model} enlarges photos; its repairs cannot be compared with its input")
    restore, degrade = load_restorer(model, compute), recipe.degradation()
    photos = load(str(data / "cbsd68"), "all").sample(limit, 0)
    kinds = []
    for name, change in KINDS.items():
        scores: list[list[float]] = []
        for i, array in enumerate(tqdm(photos.arrays, desc=name, unit="photo", leave=False)):
            clean = change(to_tensor(array))
            degraded = degrade(clean, seeded(random_seed(recipe.seed, 5, i)))
            restored = restore(degraded)
            shift = chroma_shift(restored, clean, degraded)
            scores.append([psnr(degraded, clean).item(), psnr(restored, clean).item(), shift])
        before, after, shift = (sum(column) / len(scores) for column in zip(*scores, strict=True))
        worse = sum(restored < degraded for degraded, restored, _ in scores)
        kinds.append({"kind": name, "input": before, "restored": after, "worse": worse, "chroma_shift": shift})
        print(f"{name:14} {before:6.2f} dB -> {after:6.2f} dB, {worse} worse, chroma shift {shift:.2f}/255")
    results: dict[str, Any] = {"model": model, "data": f"{len(photos)} photos of cbsd68", "kinds": kinds}
    results |= {"damage": repr(degrade), "recipe": dataclasses.asdict(recipe.portable())}
    write_json(out, results | compute.environment(compute.fabric().device) | {"seed": recipe.seed})


if __name__ == "__main__":
    try:
        parse(measure, sys.argv[1:], "python benchmarks/photo_kinds.py")
    except UserError as error:
        sys.exit(f"photo_kinds.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
