"""Scanned scratches laid over photos."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, sample
from gan_restore.images import decode, list_images


@dataclass(frozen=True, repr=False)
class ScratchOverlay(Settings):
    """Lay scanned scratches over the photo: light on black, from the images of a folder.

    Each image gets a random crop of a random scan, turned by quarters, mirrored, and resized to its size; white
    is laid on as much as the scan is light. The folder is read once in each process, when first needed.

    Attributes:
        folder: scans of scratches, light on black; at any depth.
        opacity: of what is white in the scan, in [0, 1].

    Raises:
        UserError: when called, if the folder is missing or holds no images.
    """

    folder: str
    opacity: Range = (0.6, 1.0)

    def __post_init__(self) -> None:
        self.check("opacity", 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The damaged batch and how much of each pixel is covered."""
        scans, size = _scans(str(self.folder)), tuple(clean.shape[2:])
        chances = torch.rand(len(clean), 6, generator=generator, device=clean.device).tolist()
        cover = torch.cat([_crop(scans, size, chance) for chance in chances]).to(clean.device)
        # The black of a scan is never quite black; without this its noise would cover everything a little.
        cover = ((cover - 0.06) / 0.94).clamp(0, 1) * sample(self.opacity, len(clean), generator)
        return clean.lerp(torch.ones_like(cover), cover), cover


@lru_cache(maxsize=4)
def _scans(folder: str) -> list[Tensor]:
    """The images of a folder as gray bytes, each 1 x 1 x H x W."""
    grays = (decode(path).mean(2).round().astype(np.uint8) for path in list_images(Path(folder)))
    return [torch.from_numpy(gray)[None, None] for gray in grays]


def _crop(scans: list[Tensor], size: tuple[int, int], chance: list[float]) -> Tensor:
    """A part of one scan, chosen by six numbers in [0, 1), as 1 x 1 x H x W in [0, 1]."""
    which, turn, flip, scale, down, across = chance
    scan = torch.rot90(scans[int(which * len(scans))], int(turn * 4), (2, 3))
    fit = min(scan.shape[2] / size[0], scan.shape[3] / size[1]) * (0.5 + 0.5 * scale)
    height, width = (max(1, round(side * fit)) for side in size)
    spare = [have - want + 1 for have, want in zip(scan.shape[2:], (height, width), strict=True)]
    top, left = int(down * spare[0]), int(across * spare[1])
    part = scan[..., top : top + height, left : left + width].float().div(255)
    part = part.flip(3) if flip < 0.5 else part
    return F.interpolate(part, size=size, mode="bilinear", antialias=True)
