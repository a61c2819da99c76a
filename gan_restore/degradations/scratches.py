"""Scratches, cracks, dust and stains of old prints, drawn with their masks.

Terms: a mark is one scratch, crack, speck or stain. A stroke is a mark along a path of points. Marks are drawn as
soft-edged disks, one for each point of a stroke. K counts strokes or disks, P the points of a stroke.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, bounds, sample_uniform

_AREA = 256 * 256  # pixels that the counts of marks refer to
_STEP = 0.75  # pixels between the points of a stroke: even the thinnest has no gaps
_CELL = 8  # side in pixels of a cell of the coarse grid that stains are drawn on
_DISKS_AT_ONCE = 8192  # limits the memory that a large photo needs


@dataclass(frozen=True)
class _Disks:
    """Disks to draw; all fields have the same length."""

    image: Tensor  # index of the image in the batch
    centre: Tensor  # 2 x ...: row and column in pixels
    radius: Tensor
    opacity: Tensor
    brightness: Tensor


@dataclass(frozen=True, repr=False)
class Scratches(Settings):
    """Draw the damage of old prints: straight scratches, hairs, branching cracks, dust and stains.

    Counts are proportional to the area, and marks that begin outside the image reach into it: a crop of 64 x 64
    pixels is damaged as densely as a face of 350 x 350. Each image draws its own counts, and each mark its own
    appearance. Strokes follow random walks. Where marks overlap, the more opaque one is kept, so that the
    result does not depend on their order.

    Attributes:
        lines: straight scratches per 256 x 256 pixels.
        curves: hairs and curved scratches per 256 x 256 pixels.
        cracks: jagged, branching cracks per 256 x 256 pixels.
        dust: specks per 256 x 256 pixels.
        stains: tinted, half-transparent stains per 256 x 256 pixels.
        width: of strokes in pixels; specks are up to 1.4 times as wide.
        opacity: of marks where they are strongest, in [0, 1]. Strokes fade in and out; stains have half of it.
        brightness: of marks, in [0, 1].
        dark: share of the marks that are dark instead (1 - brightness), in [0, 1].

    Example:
        >>> from gan_restore.degradations import seeded
        >>> degraded, mask = Scratches(stains=0).with_mask(torch.rand(2, 3, 64, 48), seeded(0))
        >>> degraded.shape, mask.shape
        (torch.Size([2, 3, 64, 48]), torch.Size([2, 1, 64, 48]))
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
            self.check_range(name, 0)
        for name in ("opacity", "brightness", "dark"):
            self.check_range(name, 0, 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the damaged batch of the same shape."""
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The damaged batch, and how much of each pixel is covered (N x 1 x H x W in [0, 1], 0 is untouched)."""
        stained, stains = self._add_stains(clean, generator)
        cover, brightness = self.marks(clean, generator)
        return stained.lerp(brightness, cover).clamp_(0, 1), torch.maximum(cover, stains)

    def marks(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All marks but the stains, without an image: cover and brightness, N x 1 x H x W each, in [0, 1]."""
        count, _, height, width = clean.shape
        keys = torch.zeros(count, height, width, dtype=torch.int32, device=clean.device)
        for draw, density in ((_line, self.lines), (_curve, self.curves), (_crack, self.cracks)):
            _draw_disks(keys, self._strokes(draw, density, clean, generator))
        _draw_disks(keys, self._specks(clean, generator))
        return _unpack(keys)

    def _appearance(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw opacity and brightness of `count` marks, count x 1 each."""
        opacity, brightness = (sample_uniform(value, count, generator) for value in (self.opacity, self.brightness))
        dark = _uniform(0, 1, opacity.shape, generator) < self.dark
        return opacity.view(-1, 1), torch.where(dark, 1 - brightness, brightness).view(-1, 1)

    def _strokes(self, draw: "_Draw", density: Range, clean: Tensor, generator: torch.Generator) -> _Disks:
        """Strokes of one kind as disks, K x P."""
        image, centre = _scatter(density, clean, _LENGTHS[draw] / 2, generator)
        path, fade, parent = draw(centre, generator)
        opacity, brightness = (value[parent] for value in self._appearance(len(image), generator))
        image = image[parent]
        width = sample_uniform(self.width, len(image), generator).view(-1, 1)
        points = path.shape[2]
        # Neither the depth nor the width of a scratch is even.
        depth = (0.85 + 0.4 * _smooth_noise(len(image), points, 24, generator)).clamp(0, 1) * fade.gt(0)
        radius = width / 2 * (0.3 + 0.7 * fade) * (0.8 + 0.25 * _smooth_noise(len(image), points, 12, generator))
        largest = bounds(self.width)[1] * 0.75
        return _Disks(
            image[:, None].expand(-1, points),
            path,
            radius.clamp(0.25, max(0.25, largest)),
            opacity * depth,
            brightness.expand(-1, points),
        )

    def _specks(self, clean: Tensor, generator: torch.Generator) -> _Disks:
        """Dust as disks, K x 1."""
        image, centre = _scatter(self.dust, clean, 4, generator)
        opacity, brightness = self._appearance(len(image), generator)
        # The third power gives many small specks and few large ones.
        size = 0.2 + 0.5 * _uniform(0, 1, (len(image), 1), generator) ** 3
        radius = size * sample_uniform(self.width, len(image), generator).view(-1, 1)
        return _Disks(image[:, None], centre[..., None], radius, opacity, brightness)

    def _add_stains(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The batch with its stains, and their cover N x 1 x H x W: coarse disks with rough edges, enlarged."""
        count, _, height, width = clean.shape
        image, centre = _scatter(self.stains, clean, 32, generator)
        opacity, _ = self._appearance(len(image), generator)
        radius = _uniform(8, 32, (len(image), 1), generator)
        keys = torch.zeros(count, height // _CELL + 2, width // _CELL + 2, dtype=torch.int32, device=clean.device)
        full = torch.ones_like(opacity)
        _draw_disks(keys, _Disks(image[:, None], centre[..., None] / _CELL, radius / _CELL, full, opacity))
        disks, strength = _unpack(keys)
        rough = disks * (1.5 + 0.5 * torch.randn(disks.shape, generator=generator, device=clean.device))
        fine = F.interpolate(torch.cat([rough, strength], 1), scale_factor=_CELL, mode="bilinear")
        rough, strength = fine[..., :height, :width].split(1, 1)
        cover = ((rough - 0.4) * 3).clamp(0, 1) * strength / 2
        brown = _uniform(0, 0.5, (count, 1, 1, 1), generator)
        tone = sample_uniform(self.brightness, count, generator)
        dark = _uniform(0, 1, tone.shape, generator) < self.dark
        tint = torch.cat([1 - part * brown for part in (0, 0.4, 1)], 1) * torch.where(dark, 1 - tone, tone)
        return clean.lerp(tint, cover), cover


_Draw = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""Draws strokes through K centres (2 x K).

It returns their paths (2 x K x P), their fade (K x P: 1 inside, falling to 0 at the ends), and for each stroke the
index of the centre that it belongs to, since a crack has several branches."""


def _line(centre: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Nearly straight strokes."""
    points, count = round(_LENGTHS[_line] / _STEP), centre.shape[1]
    bend = 0.0006 * torch.randn(count, 1, generator=generator, device=centre.device)
    turns = bend + 0.002 * _smooth_noise(count, points, 20, generator)
    heading = _random_angles(count, generator) + turns.cumsum(1)
    return _path(centre, heading), _fade(count, points, 0.15, generator), _indices(centre)


def _curve(centre: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Strokes whose curvature varies, as that of a hair does."""
    points, count = round(_LENGTHS[_curve] / _STEP), centre.shape[1]
    turns = 0.03 * _smooth_noise(count, points, 40, generator)
    heading = _random_angles(count, generator) + turns.cumsum(1)
    return _path(centre, heading), _fade(count, points, 0.2, generator), _indices(centre)


def _crack(centre: Tensor, generator: torch.Generator, branches: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Jagged strokes, each with shorter branches that leave it at an angle."""
    points, count = round(_LENGTHS[_crack] / _STEP), centre.shape[1]
    direction = _random_angles(count, generator)
    trunk = _path(centre, direction + _jagged_angles(count, points, generator))
    fade = _fade(count, points, 0.3, generator)
    parent = _indices(centre).repeat(branches)
    fork = (_uniform(0.25, 0.75, (len(parent),), generator) * points).long()
    side = _uniform(-1, 1, (len(parent), 1), generator)
    heading = direction[parent] + side + 0.5 * side.sign() + _jagged_angles(len(parent), points, generator)
    branch = _path(trunk[:, parent, fork], heading, origin=0)
    reach = _uniform(0.05, 0.35, (len(parent), 1), generator) * points
    branch_fade = (1 - torch.arange(points, device=centre.device) / reach).clamp(0, 1)
    branch_fade = branch_fade * fade[parent, fork][:, None]
    return torch.cat([trunk, branch], 1), torch.cat([fade, branch_fade]), torch.cat([_indices(centre), parent])


_LENGTHS: dict[_Draw, int] = {_line: 240, _curve: 120, _crack: 160}  # of the longest stroke, in pixels


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def _random_angles(count: int, generator: torch.Generator) -> Tensor:
    """Angles in [0, 2 pi), count x 1."""
    return _uniform(0, 2 * math.pi, (count, 1), generator)


def _indices(centre: Tensor) -> Tensor:
    """0 to K - 1 for K centres (2 x K)."""
    return torch.arange(centre.shape[1], device=centre.device)


def _scatter(density: Range, clean: Tensor, margin: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scatter centres over each image and a margin of pixels around it: image indices (K) and centres (2 x K)."""
    size = torch.tensor(clean.shape[2:], device=clean.device)[:, None] + 2 * margin
    area = (clean.shape[2] + 2 * margin) * (clean.shape[3] + 2 * margin) / _AREA
    expected = sample_uniform(density, len(clean), generator).flatten() * area
    counts = (expected + _uniform(0, 1, expected.shape, generator)).long()  # rounded up or down at random
    image = torch.repeat_interleave(counts)
    return image, _uniform(0, 1, (2, len(image)), generator) * size - margin


def _smooth_noise(count: int, points: int, every: int, generator: torch.Generator) -> Tensor:
    """Normal noise along strokes, count x points, interpolated between knots `every` so many points."""
    knots = torch.randn(count, 1, points // every + 2, generator=generator, device=generator.device)
    return F.interpolate(knots, size=points, mode="linear", align_corners=True)[:, 0]


def _jagged_angles(count: int, points: int, generator: torch.Generator) -> Tensor:
    """Normal noise along strokes, count x points, constant over eight points and then another value."""
    knots = torch.randn(count, points // 8 + 1, generator=generator, device=generator.device)
    return 0.6 * knots.repeat_interleave(8, 1)[:, :points]


def _fade(count: int, points: int, shortest: float, generator: torch.Generator) -> Tensor:
    """1 in the middle of a stroke, falling to 0 at its ends, count x points.

    The length is a random share of the points, from `shortest` to 1.
    """
    length = _uniform(shortest, 1, (count, 1), generator) * points
    from_middle = (torch.arange(points, device=generator.device) - points / 2).abs()
    return ((length / 2 - from_middle) / 12).clamp(0, 1)


def _path(centre: Tensor, heading: Tensor, origin: int | None = None) -> Tensor:
    """Points `_STEP` pixels apart in the directions of `heading` (K x P): 2 x K x P.

    The path passes through `centre` (2 x K) at its middle point, or at the point `origin`.
    """
    steps = _STEP * torch.stack([heading.sin(), heading.cos()])
    points, origin = steps.cumsum(2), heading.shape[1] // 2 if origin is None else origin
    return points + (centre[..., None] - points[..., origin : origin + 1])


def _draw_disks(keys: Tensor, disks: _Disks) -> None:
    """Draw disks into `keys` (N x H x W, int32: cover in the upper bits, brightness in the lowest eight).

    Each pixel keeps the largest key. A maximum of integers does not depend on the order, which CUDA leaves open.
    """
    _, height, width = keys.shape
    reach = (disks.radius + 0.5).ceil().int()
    row, column = disks.centre.round()
    # Most points of strokes that begin outside the image never reach it.
    visible = (row > -reach) & (row < height + reach) & (column > -reach) & (column < width + reach)
    visible &= disks.opacity > 0
    reach, centre = reach[visible], disks.centre[:, visible]
    parts = [part[visible] for part in (disks.image, disks.radius, disks.opacity, disks.brightness)]
    for size in reach.unique().tolist():
        for some in (reach == size).nonzero()[:, 0].split(_DISKS_AT_ONCE):
            _draw_equal_disks(keys, size, centre[:, some], *(part[some] for part in parts))


def _draw_equal_disks(
    keys: Tensor, reach: int, centre: Tensor, image: Tensor, radius: Tensor, opacity: Tensor, brightness: Tensor
) -> None:
    """Draw K disks that fit into squares of 2 reach + 1 pixels around the pixel nearest to their centre."""
    _, height, width = keys.shape
    # K is the last dimension, where long loops are fast.
    offsets = torch.arange(-reach, reach + 1, device=keys.device)[:, None]
    rows, columns = (axis.round().long() + offsets for axis in centre)
    distance = torch.hypot((rows - centre[0])[:, None], columns - centre[1])
    cover = (radius + 0.5 - distance).clamp(0, 1) * opacity
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    cover = (cover * 4095).round().int() * inside
    key = cover * 256 + (brightness * 255).round().int() * (cover > 0)
    index = (image * height + rows.clamp(0, height - 1))[:, None] * width + columns.clamp(0, width - 1)
    keys.view(-1).scatter_reduce_(0, index.flatten(), key.flatten(), "amax")


def _unpack(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Cover and brightness in [0, 1], N x 1 x H x W each, of the disks drawn into `keys`."""
    return (keys >> 8).float().div(4095)[:, None], (keys & 255).float().div(255)[:, None]
