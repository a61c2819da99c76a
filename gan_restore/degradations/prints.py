"""The wear of old prints: paper-white marks, creases, lost corners, blotches and grain, with their mask.

The marks are drawn on a small copy of the image, whose longer side has at most `REFERENCE` pixels, and enlarged.
So a print is damaged alike at every resolution that it is scanned at: scratches that are 1 to 4 pixels wide in a
scan of 500 pixels are 8 to 32 wide in one of 4,000.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, sample_uniform
from gan_restore.degradations.scratches import Scratches

REFERENCE = 512
"""Longer side in pixels up to which marks are drawn at the image's own resolution."""


@dataclass(frozen=True, repr=False)
class OldPrint(Settings):
    """Damage an image as decades do a paper print.

    In this order: blotches where the surface has faded, creases and cracks with a shadow on one side, scratches,
    hairs and dust, lost corners and torn edges, grain. What is lost shows the paper, which is white or yellowed;
    each image draws its own paper and amounts. Colour, contrast and brightness of the undamaged photo stay: a sepia
    print is not a damaged colour photo (see `toned`).

    Attributes:
        scratches: lines, hairs and cracks per 256 x 256 pixels of the small copy, each.
        dust: specks per 256 x 256 pixels of the small copy.
        width: of the scratches in pixels of the small copy.
        creases: per 256 x 256 pixels of the small copy.
        shadow: strength of the shadow beside creases and cracks, in [0, 1].
        blotches: share of the images with faded or stained areas, in [0, 1].
        torn: share of the images with lost corners or torn edges, in [0, 1].
        grain: standard deviation of the noise on the [0, 1] scale, the same in all channels.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> degraded, mask = OldPrint().with_mask(torch.rand(2, 3, 64, 48), seeded(0))
        >>> degraded.shape, mask.shape
        (torch.Size([2, 3, 64, 48]), torch.Size([2, 1, 64, 48]))
    """

    scratches: Range = (0.0, 4.0)
    dust: Range = (0.0, 80.0)
    width: Range = (0.8, 5.0)
    creases: Range = (0.0, 2.0)
    shadow: Range = (0.0, 0.5)
    blotches: float = 0.3
    torn: float = 0.15
    grain: Range = (0.0, 0.03)

    def __post_init__(self) -> None:
        for name in ("scratches", "dust", "width", "creases", "grain"):
            self.check_range(name, 0)
        for name in ("shadow", "blotches", "torn"):
            self.check_range(name, 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the damaged batch of the same shape."""
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The damaged batch, and how much of each pixel is covered (N x 1 x H x W in [0, 1]); grain is left out."""
        size = list(clean.shape[2:])
        unit = max(1.0, max(size) / REFERENCE)  # pixels of the image for one of the small copy
        small = [math.ceil(side / unit) for side in size]
        canvas = torch.zeros(len(clean), 3, *small, device=clean.device)
        paper = _paper(len(clean), generator)

        faded = self._blotches(canvas, generator)
        strokes = {"lines": self.scratches, "curves": self.scratches, "cracks": self.scratches, "dust": self.dust}
        marks = Scratches(
            **strokes, stains=0, width=self.width, opacity=(0.4, 1.0), brightness=(0.7, 1.0), dark=0.15
        )
        cover, brightness = marks.marks(canvas, generator)
        folds = Scratches(0, 0, self.creases, 0, 0, width=(1.5, 5.0), opacity=(0.2, 0.7), brightness=1, dark=0)
        crease = folds.marks(canvas, generator)[0]
        shade = sample_uniform(self.shadow, len(clean), generator) * _relief(
            torch.maximum(cover, crease), generator
        )
        lost = self._lost(canvas, generator)

        layers = torch.cat([faded, cover, brightness, crease, shade, lost], dim=1)
        if unit > 1:
            layers = F.interpolate(layers, size=size, mode="bilinear")
        faded, cover, brightness, crease, shade, lost = layers.split(1, 1)
        stain = paper**3 * _uniform(len(clean), 0.4, 1, generator)  # darker than the paper, and browner
        degraded = clean.lerp(stain, faded) + shade
        degraded = degraded.lerp(paper, crease * 0.5).lerp(paper * brightness, cover).lerp(paper, lost)
        grain = sample_uniform(self.grain, len(clean), generator)
        noise = torch.randn(len(clean), 1, *size, generator=generator, device=clean.device)
        mask = torch.stack([faded, cover, crease, shade.abs(), lost]).amax(0)
        return (degraded + grain * noise).clamp(0, 1), mask.clamp(0, 1)

    def _blotches(self, canvas: Tensor, generator: torch.Generator) -> Tensor:
        """Cover of faded areas and stains, N x 1 x H x W: 20 to 100 pixels large, with a visible, uneven border."""
        noise = _smooth(canvas, 40, generator) + 0.15 * _smooth(canvas, 8, generator)
        strength = _uniform(len(canvas), 0.1, 0.35, generator) * _chance(len(canvas), self.blotches, generator)
        return ((noise - 0.8) * 8).clamp(0, 1) * strength

    def _lost(self, canvas: Tensor, generator: torch.Generator) -> Tensor:
        """Lost corners and torn edges, N x 1 x H x W: 1 where the picture is gone, with ragged borders."""
        count, _, height, width = canvas.shape
        rows = torch.arange(height, device=canvas.device)[:, None] + 0.5
        columns = torch.arange(width, device=canvas.device) + 0.5
        # Distances to the four edges, and from the centres of round corners.
        edges = [rows.expand(height, width), columns.expand(height, width), height - rows + 0 * columns]
        edges.append(width - columns + 0 * rows)
        ragged = 3 * _smooth(canvas, 6, generator)[:, 0] + 1.5 * _smooth(canvas, 2, generator)[:, 0]
        gone = torch.full((count, height, width), -1e3, device=canvas.device)
        side = min(height, width)
        for first, second in ((0, 1), (0, 3), (2, 1), (2, 3)):
            reach = _uniform(count, 0.04, 0.15, generator)[:, 0] * side * _chance(count, 0.4, generator)[:, 0]
            gone = torch.maximum(gone, reach - edges[first] - edges[second] - 12 * (reach == 0))
        for edge in edges:
            reach = _uniform(count, 0.0, 0.04, generator)[:, 0] * side * _chance(count, 0.4, generator)[:, 0]
            gone = torch.maximum(gone, reach - edge - 12 * (reach == 0))
        torn = _chance(count, self.torn, generator)
        return (gone + ragged + 0.5)[:, None].clamp(0, 1) * torn


def toned(clean: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Give a share of the images the look of another print: gray, sepia or another tone, faded, dark, a negative.

    A network that is trained on such images too repairs them without changing their tone.

    Args:
        clean: N x 3 x H x W in [0, 1].
        share: of the images that are changed, in [0, 1].
        generator: random draws.

    Returns:
        A batch of the same shape.
    """
    count = len(clean)
    luma = (clean * clean.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    kind = _uniform(count, 0, 1, generator)
    images = torch.where(kind < 0.7, luma, clean)  # 0.35 gray, 0.35 toned, 0.3 in colour
    low, high = _uniform(count, 0, 0.25, generator), _uniform(count, 0.6, 1, generator)
    images = low + (high - low) * images ** _uniform(count, 0.6, 1.8, generator)  # faded or dark
    # A toned print is brown, seldom another colour, and most so in its middle tones.
    warm = torch.tensor([0.25, 0.02, -0.3], device=clean.device).view(1, 3, 1, 1)
    other = 0.2 * _uniform(count, -1, 1, generator, 3)
    tint = torch.where(_chance(count, 0.75, generator) > 0, warm, other) * _uniform(count, 0.2, 1, generator)
    is_toned = (kind > 0.35) & (kind < 0.7)
    images = torch.where(is_toned, images + tint * 2 * images * (1.2 - images), images)
    images = torch.where(_chance(count, 0.06, generator) > 0, 1 - images, images)
    return torch.where(_chance(count, share, generator) > 0, images.clamp(0, 1), clean)


def _paper(count: int, generator: torch.Generator) -> Tensor:
    """The colour of the paper below each photo, N x 3 x 1 x 1: white, or yellowed in half of the images."""
    yellow = _uniform(count, 0, 1, generator) * _chance(count, 0.5, generator)
    colour = 1 - yellow * torch.tensor([0.06, 0.12, 0.35], device=generator.device).view(1, 3, 1, 1)
    return colour * _uniform(count, 0.85, 1, generator)


def _relief(cover: Tensor, generator: torch.Generator) -> Tensor:
    """Light and shadow on the two sides of marks, N x 1 x H x W in [-1, 1], from one direction for each image."""
    padded = F.pad(cover, (2, 2, 2, 2), mode="replicate")
    across = (padded[..., 2:-2, :-4] - padded[..., 2:-2, 4:]) / 2
    down = (padded[..., :-4, 2:-2] - padded[..., 4:, 2:-2]) / 2
    angle = _uniform(len(cover), 0, 2 * math.pi, generator)
    return angle.cos() * across + angle.sin() * down


def _smooth(canvas: Tensor, every: int, generator: torch.Generator) -> Tensor:
    """Normal noise, N x 1 x H x W, interpolated between knots `every` so many pixels."""
    count, _, height, width = canvas.shape
    knots = torch.randn(
        count, 1, height // every + 2, width // every + 2, generator=generator, device=canvas.device
    )
    fine = F.interpolate(knots, scale_factor=every, mode="bicubic")
    return fine[..., :height, :width]


def _uniform(count: int, low: float, high: float, generator: torch.Generator, channels: int = 1) -> Tensor:
    """A number for each image, N x channels x 1 x 1."""
    draws = torch.rand(count, channels, 1, 1, generator=generator, device=generator.device)
    return low + (high - low) * draws


def _chance(count: int, share: float, generator: torch.Generator) -> Tensor:
    """1 for a share of the images, 0 for the others, N x 1 x 1 x 1."""
    return (_uniform(count, 0, 1, generator) < share).float()
