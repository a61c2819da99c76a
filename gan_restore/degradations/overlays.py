"""Scanned scratches laid over photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, sample_uniform
from gan_restore.images import decode, list_images


@dataclass(frozen=True, repr=False)
class ScratchOverlay(Settings):
    """Blend photos towards white where scans of scratches, light on black, are light.

    Each image gets a random crop of a random scan, rotated by a multiple of 90 degrees, flipped, and resized to the
    image. Each process reads the folder once, at the first call.

    Attributes:
        folder: of the scans; subfolders are searched too.
        opacity: where the scan is white, in [0, 1].
    """

    folder: str
    opacity: Range = (0.6, 1.0)

    def __post_init__(self) -> None:
        self.check_range("opacity", 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the scratched batch of the same shape.

        Raises:
            UserError: if the folder is missing or holds no images.
        """
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The scratched batch, and how much of each pixel is covered (N x 1 x H x W in [0, 1]).

        Raises:
            UserError: if the folder is missing or holds no images.
        """
        scans, size = _scans(str(self.folder)), clean.shape[2:]
        draws = torch.rand(len(clean), 6, generator=generator, device=clean.device).tolist()
        cover = torch.cat([_crop(scans, size, draw) for draw in draws]).to(clean.device)
        # The black of a scan is not quite black. Without the threshold its noise would cover every pixel a little.
        cover = ((cover - 0.06) / 0.94).clamp(0, 1) * sample_uniform(self.opacity, len(clean), generator)
        return clean.lerp(torch.ones_like(cover), cover), cover


@lru_cache(maxsize=4)
def _scans(folder: str) -> list[Tensor]:
    """The images of a folder in gray, each 1 x 1 x H x W, uint8."""
    grays = (decode(path).mean(2).round().astype(np.uint8) for path in list_images(Path(folder)))
    return [torch.from_numpy(gray)[None, None] for gray in grays]


def _crop(scans: list[Tensor], size: Sequence[int], draw: list[float]) -> Tensor:
    """A crop of one scan, chosen by six numbers in [0, 1), resized: 1 x 1 x size, in [0, 1]."""
    which, turn, flip, scale, down, across = draw
    scan = torch.rot90(scans[int(which * len(scans))], int(turn * 4), (2, 3))
    fit = min(scan.shape[2] / size[0], scan.shape[3] / size[1]) * (0.5 + 0.5 * scale)
    height, width = (max(1, round(side * fit)) for side in size)
    spare = [have - want + 1 for have, want in zip(scan.shape[2:], (height, width), strict=True)]
    top, left = int(down * spare[0]), int(across * spare[1])
    part = scan[..., top : top + height, left : left + width].float().div(255)
    part = part.flip(3) if flip < 0.5 else part
    return F.interpolate(part, size=list(size), mode="bilinear", antialias=True)
