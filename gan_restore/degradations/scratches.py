"""Scratches, cracks, dust and stains of old prints, drawn, with their masks.

`Scratches.with_mask(clean, generator)` gives the same degraded batch as the call and a mask N x 1 x H x W in
[0, 1]: how much of a pixel is covered, 0 where it is untouched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, limits, sample

_AREA = 256 * 256  # pixels that a count is given for


_STEP = 0.75  # pixels between the points of a stroke: close enough to leave no gaps in the thinnest


_CELL = 8  # pixels a side of a stain's coarse grid


_AT_ONCE = 8192  # disks, so that a large photo needs no gigabytes


@dataclass(frozen=True)
class _Marks:
    """Points of ink: for each the image it lies in, where, and how it looks; all of one length."""

    image: Tensor
    place: Tensor  # 2 x ...: row and column in pixels
    radius: Tensor
    opacity: Tensor
    brightness: Tensor


@dataclass(frozen=True, repr=False)
class Scratches(Settings):
    """Draw the damage of old prints: straight scratches, curved ones (hairs), branching cracks, dust, stains.

    The counts are for 256 x 256 pixels and go with the area, and what begins outside the image reaches into it: a
    crop of 64 x 64 is damaged as densely as a face of 350 x 350. Each image draws its own counts and each stroke
    its own look. Strokes are random walks, splatted as small soft-edged disks; where marks meet, the more opaque
    one stays, which makes the result independent of their order.

    Attributes:
        lines: straight scratches for each 256 x 256 pixels.
        curves: hairs and curved scratches for each 256 x 256 pixels.
        cracks: jagged, branching cracks for each 256 x 256 pixels.
        dust: specks for each 256 x 256 pixels.
        stains: tinted, half-transparent blots for each 256 x 256 pixels.
        width: of strokes in pixels; specks are up to twice as wide.
        opacity: of marks where they are strongest, in [0, 1]; strokes fade in and out, stains have half of it.
        brightness: of marks, in [0, 1].
        dark: share of the marks that are dark instead (1 - brightness), in [0, 1].

    Example:
        >>> degraded, mask = Scratches(stains=0).with_mask(clean, seeded(0))
    """

    lines: Range = (2.0, 8.0)
    curves: Range = (2.0, 7.0)
    cracks: Range = (1.0, 5.0)
    dust: Range = (20.0, 100.0)
    stains: Range = (0.0, 2.0)
    width: Range = (1.0, 4.5)
    opacity: Range = (0.85, 1.0)
    brightness: Range = (0.85, 1.0)
    dark: float = 0.15

    def __post_init__(self) -> None:
        for name in ("lines", "curves", "cracks", "dust", "stains", "width"):
            self.check(name, 0)
        for name in ("opacity", "brightness", "dark"):
            self.check(name, 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The damaged batch and how much of each pixel is covered."""
        count, _, height, width = clean.shape
        stained, blots = self._stain(clean, generator)
        keys = torch.zeros(count, height, width, dtype=torch.int32, device=clean.device)
        for draw, density in ((_line, self.lines), (_curve, self.curves), (_crack, self.cracks)):
            _splat(keys, self._strokes(draw, density, clean, generator))
        _splat(keys, self._specks(clean, generator))
        cover, brightness = _unpack(keys)
        return stained.lerp(brightness, cover).clamp_(0, 1), torch.maximum(cover, blots)

    def _look(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Opacity and brightness of `count` marks, count x 1 each."""
        opacity, brightness = (sample(value, count, generator) for value in (self.opacity, self.brightness))
        dark = _uniform(0, 1, opacity.shape, generator) < self.dark
        return opacity.view(-1, 1), torch.where(dark, 1 - brightness, brightness).view(-1, 1)

    def _strokes(self, draw: "Draw", density: Range, clean: Tensor, generator: torch.Generator) -> _Marks:
        image, centre = _scattered(density, clean, _LONGEST[draw] / 2, generator)
        walk, presence, parent = draw(centre, generator)
        opacity, brightness = (look[parent] for look in self._look(len(image), generator))
        image = image[parent]
        width = sample(self.width, len(image), generator).view(-1, 1)
        points = walk.shape[2]
        # A scratch is neither evenly wide nor evenly deep.
        depth = (0.85 + 0.4 * _wavy(len(image), points, 24, generator)).clamp(0, 1) * presence.gt(0)
        radius = width / 2 * (0.3 + 0.7 * presence) * (0.8 + 0.25 * _wavy(len(image), points, 12, generator))
        most = limits(self.width)[1] * 0.75
        return _Marks(
            image[:, None].expand(-1, points),
            walk,
            radius.clamp(0.25, max(0.25, most)),
            opacity * depth,
            brightness.expand(-1, points),
        )

    def _specks(self, clean: Tensor, generator: torch.Generator) -> _Marks:
        image, place = _scattered(self.dust, clean, 4, generator)
        opacity, brightness = self._look(len(image), generator)
        # The third power: many fine specks, few large ones.
        size = 0.2 + 0.5 * _uniform(0, 1, (len(image), 1), generator) ** 3
        radius = size * sample(self.width, len(image), generator).view(-1, 1)
        return _Marks(image[:, None], place[..., None], radius, opacity, brightness)

    def _stain(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The batch with its blots, and their cover: coarse disks with ragged rims, enlarged smoothly."""
        count, _, height, width = clean.shape
        image, centre = _scattered(self.stains, clean, 32, generator)
        opacity, _ = self._look(len(image), generator)
        radius = _uniform(8, 32, (len(image), 1), generator)
        keys = torch.zeros(count, height // _CELL + 2, width // _CELL + 2, dtype=torch.int32, device=clean.device)
        full = torch.ones_like(opacity)
        _splat(keys, _Marks(image[:, None], centre[..., None] / _CELL, radius / _CELL, full, opacity))
        disks, strength = _unpack(keys)
        rough = disks * (1.5 + 0.5 * torch.randn(disks.shape, generator=generator, device=clean.device))
        fine = F.interpolate(torch.cat([rough, strength], 1), scale_factor=_CELL, mode="bilinear")
        rough, strength = fine[..., :height, :width].split(1, 1)
        cover = ((rough - 0.4) * 3).clamp(0, 1) * strength / 2
        brown = _uniform(0, 0.5, (count, 1, 1, 1), generator)
        tone = sample(self.brightness, count, generator)
        dark = _uniform(0, 1, tone.shape, generator) < self.dark
        tint = torch.cat([1 - part * brown for part in (0, 0.4, 1)], 1) * torch.where(dark, 1 - tone, tone)
        return clean.lerp(tint, cover), cover


Draw = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor, Tensor]]


def _line(centre: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Nearly straight strokes: places 2 x K x P; presence K x P, 1 inside and falling to 0 at the ends; parents."""
    points = round(_LONGEST[_line] / _STEP)
    bend = 0.0006 * torch.randn(centre.shape[1], 1, generator=generator, device=centre.device)
    turns = bend + 0.002 * _wavy(centre.shape[1], points, 20, generator)
    heading = _direction(centre.shape[1], generator) + turns.cumsum(1)
    return _walk(centre, heading), _presence(centre.shape[1], points, 0.15, generator), _each(centre)


def _curve(centre: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Strokes whose curvature wanders, as a hair's does."""
    points = round(_LONGEST[_curve] / _STEP)
    turns = 0.03 * _wavy(centre.shape[1], points, 40, generator)
    heading = _direction(centre.shape[1], generator) + turns.cumsum(1)
    return _walk(centre, heading), _presence(centre.shape[1], points, 0.2, generator), _each(centre)


def _crack(centre: Tensor, generator: torch.Generator, branches: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Jagged strokes with shorter ones that leave them at an angle."""
    points, count = round(_LONGEST[_crack] / _STEP), centre.shape[1]
    middle = _direction(count, generator)
    trunk = _walk(centre, middle + _jagged(count, points, generator))
    presence = _presence(count, points, 0.3, generator)
    parent = _each(centre).repeat(branches)
    fork = (_uniform(0.25, 0.75, (len(parent),), generator) * points).long()
    side = _uniform(-1, 1, (len(parent), 1), generator)
    heading = middle[parent] + side + 0.5 * side.sign() + _jagged(len(parent), points, generator)
    limb = _walk(trunk[:, parent, fork], heading, origin=0)
    reach = _uniform(0.05, 0.35, (len(parent), 1), generator) * points
    shown = (1 - torch.arange(points, device=centre.device) / reach).clamp(0, 1)
    shown = shown * presence[parent, fork][:, None]
    return torch.cat([trunk, limb], 1), torch.cat([presence, shown]), torch.cat([_each(centre), parent])


_LONGEST: dict[Draw, int] = {_line: 240, _curve: 120, _crack: 160}  # pixels


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def _direction(count: int, generator: torch.Generator) -> Tensor:
    return _uniform(0, 2 * math.pi, (count, 1), generator)


def _each(centre: Tensor) -> Tensor:
    return torch.arange(centre.shape[1], device=centre.device)


def _scattered(density: Range, clean: Tensor, margin: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres (2 x K, in pixels) scattered over each image and a margin around it, and the image of each (K)."""
    size = torch.tensor(clean.shape[2:], device=clean.device)[:, None] + 2 * margin
    area = (clean.shape[2] + 2 * margin) * (clean.shape[3] + 2 * margin) / _AREA
    expected = sample(density, len(clean), generator).flatten() * area
    counts = (expected + _uniform(0, 1, expected.shape, generator)).long()  # rounded up or down by chance
    image = torch.repeat_interleave(counts)
    return image, _uniform(0, 1, (2, len(image)), generator) * size - margin


def _wavy(count: int, points: int, every: int, generator: torch.Generator) -> Tensor:
    """Smooth normal noise along strokes, count x points, with a knot every so many points."""
    knots = torch.randn(count, 1, points // every + 2, generator=generator, device=generator.device)
    return F.interpolate(knots, size=points, mode="linear", align_corners=True)[:, 0]


def _jagged(count: int, points: int, generator: torch.Generator) -> Tensor:
    """Directions that jump about every eight points, count x points."""
    knots = torch.randn(count, points // 8 + 1, generator=generator, device=generator.device)
    return 0.6 * knots.repeat_interleave(8, 1)[:, :points]


def _presence(count: int, points: int, shortest: float, generator: torch.Generator) -> Tensor:
    """1 in the middle of a stroke, falling to 0 at its ends; it takes a random share of the points."""
    length = _uniform(shortest, 1, (count, 1), generator) * points
    from_middle = (torch.arange(points, device=generator.device) - points / 2).abs()
    return ((length / 2 - from_middle) / 12).clamp(0, 1)


def _walk(centre: Tensor, heading: Tensor, origin: int | None = None) -> Tensor:
    """Steps in the directions of `heading` (K x P), through `centre` at the middle point or at `origin`."""
    steps = _STEP * torch.stack([heading.sin(), heading.cos()])
    places, origin = steps.cumsum(2), heading.shape[1] // 2 if origin is None else origin
    return places + (centre[..., None] - places[..., origin : origin + 1])


def _splat(keys: Tensor, marks: _Marks) -> None:
    """Draw disks into `keys` (N x H x W, int32: cover in the upper bits, brightness in the lowest eight).

    The larger key wins. Whole numbers and a maximum do not depend on the order, so that CUDA's is no matter.
    """
    _, height, width = keys.shape
    reach = (marks.radius + 0.5).ceil().int()
    row, column = marks.place.round()
    # Most points of the strokes around the image lie outside it.
    seen = (row > -reach) & (row < height + reach) & (column > -reach) & (column < width + reach)
    seen &= marks.opacity > 0
    reach, place = reach[seen], marks.place[:, seen]
    parts = [part[seen] for part in (marks.image, marks.radius, marks.opacity, marks.brightness)]
    for size in reach.unique().tolist():
        for some in (reach == size).nonzero()[:, 0].split(_AT_ONCE):
            _splat_squares(keys, size, place[:, some], *(part[some] for part in parts))


def _splat_squares(
    keys: Tensor, reach: int, place: Tensor, image: Tensor, radius: Tensor, opacity: Tensor, brightness: Tensor
) -> None:
    """Splat K disks that fit into squares of `reach` pixels around the pixel nearest to their centre."""
    _, height, width = keys.shape
    # K comes last, where long loops are fast.
    offsets = torch.arange(-reach, reach + 1, device=keys.device)[:, None]
    rows, columns = (axis.round().long() + offsets for axis in place)
    distance = torch.hypot((rows - place[0])[:, None], columns - place[1])
    cover = (radius + 0.5 - distance).clamp(0, 1) * opacity
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    cover = (cover * 4095).round().int() * inside
    key = cover * 256 + (brightness * 255).round().int() * (cover > 0)
    index = (image * height + rows.clamp(0, height - 1))[:, None] * width + columns.clamp(0, width - 1)
    keys.view(-1).scatter_reduce_(0, index.flatten(), key.flatten(), "amax")


def _unpack(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Cover and brightness, N x 1 x H x W each, of the marks in `keys`."""
    return (keys >> 8).float().div(4095)[:, None], (keys & 255).float().div(255)[:, None]
