from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from support import ODD

from gan_restore.degradations.base import Compose, Degradation, sample_uniform, seeded
from gan_restore.degradations.blind import BlindFace
from gan_restore.degradations.blur_and_codec import JPEG, Downsample, GaussianBlur, LowResolution
from gan_restore.degradations.noise import GaussianNoise, SaltAndPepper
from gan_restore.images import to_bytes

ALL = [
    SaltAndPepper(0.06),
    SaltAndPepper(0.3, salt=0.2),
    GaussianNoise(0.1),
    GaussianNoise((0.05, 0.2)),
    GaussianBlur((0.5, 9)),
    LowResolution((1.5, 8)),
    JPEG((10, 90)),
    BlindFace(),
    BlindFace(blur=0, factor=7.7, noise=0.1, quality=30),
    Compose(GaussianNoise(0.05), SaltAndPepper(0.1)),
    Compose(GaussianBlur((0.5, 2)), GaussianNoise(0.01), JPEG(60)),
]
EXACT = [GaussianBlur(1.3), LowResolution(2.5), JPEG(40)]  # nothing to draw


def to_pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(to_bytes(image)[0].permute(1, 2, 0).contiguous().numpy())


def to_levels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("degradation", ALL, ids=repr)
def test_the_same_seed_gives_the_same_damage_and_the_clean_batch_is_kept(
    degradation: Degradation, size: tuple[int, int]
) -> None:
    clean = torch.rand(2, 3, *size)
    before = clean.clone()
    first, second = degradation(clean, seeded(3)), degradation(clean, seeded(3))
    torch.manual_seed(99)  # nothing but the generator may matter
    assert torch.equal(first, second) and torch.equal(first, degradation(clean, seeded(3)))
    assert torch.equal(clean, before) and not torch.equal(first, degradation(clean, seeded(4)))
    assert first.shape == clean.shape and first.dtype == clean.dtype
    assert first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize(("density", "salt"), [(0.06, 0.5), (0.2, 0.9), (1.0, 0.25), (0.0, 0.5), (0.5, 0.0)])
def test_densities_are_as_stated(density: float, salt: float) -> None:
    gray = torch.full((4, 3, 250, 250), 0.5)
    noisy = SaltAndPepper(density, salt)(gray, seeded(0))
    white, black = (noisy == 1).all(1).float().mean().item(), (noisy == 0).all(1).float().mean().item()
    assert white == pytest.approx(density * salt, abs=0.003)
    assert black == pytest.approx(density * (1 - salt), abs=0.003)
    assert ((noisy == 0.5) | (noisy == 0) | (noisy == 1)).all()
    assert (noisy == noisy[:, :1]).all(), "all channels of a pixel are hit together"


def test_gaussian_noise_has_its_sigma() -> None:
    noisy = GaussianNoise(0.1)(torch.full((4, 3, 200, 200), 0.5), seeded(0))
    assert noisy.std().item() == pytest.approx(0.1, abs=0.001) and noisy.mean().item() == pytest.approx(
        0.5, abs=0.001
    )


def test_every_image_draws_its_own_setting() -> None:
    noisy = GaussianNoise((0.02, 0.2))(torch.full((64, 3, 40, 40), 0.5), seeded(0))
    sigmas = noisy.std((1, 2, 3))
    assert 0.019 < sigmas.min() < 0.05 and 0.17 < sigmas.max() < 0.21
    values = sample_uniform((2, 4), 2000, seeded(0))
    assert values.shape == (2000, 1, 1, 1) and values.min() < 2.01 and values.max() > 3.99
    assert values.mean().item() == pytest.approx(3, abs=0.05)
    smooth = GaussianBlur((0, 4))(torch.rand(1, 3, 40, 40).expand(32, -1, -1, -1), seeded(0)).std((1, 2, 3))
    assert smooth.max() > 3 * smooth.min()


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("degradation", EXACT, ids=repr)
def test_a_batch_is_damaged_as_its_images_alone(degradation: Degradation, size: tuple[int, int]) -> None:
    clean = torch.rand(3, 3, *size)
    alone = torch.cat([degradation(image, seeded(0)) for image in clean.split(1)])
    torch.testing.assert_close(degradation(clean, seeded(0)), alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [*ODD, (3, 5)])
@pytest.mark.parametrize("sigma", [0, 0.4, 1.0, 3.0])
def test_blur_is_scipys(sigma: float, size: tuple[int, int]) -> None:
    clean = torch.rand(2, 3, *size)
    options = {"axes": (2, 3), "mode": "nearest", "radius": int(np.ceil(3 * sigma))}
    expected = gaussian_filter(clean.numpy(), max(sigma, 1e-3), **options)
    torch.testing.assert_close(GaussianBlur(sigma)(clean, seeded(0)), torch.from_numpy(expected), atol=2e-6, rtol=0)


def test_blur_does_not_depend_on_the_rest_of_the_range() -> None:
    clean = torch.rand(1, 3, 20, 30)
    sigma = sample_uniform((0.5, 6), 1, seeded(7)).item()
    torch.testing.assert_close(GaussianBlur((0.5, 6))(clean, seeded(7)), GaussianBlur(sigma)(clean, seeded(0)))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downsampling_is_pillows_up_to_its_rounding_between_rows_and_columns(factor: int) -> None:
    clean = torch.rand(1, 3, 24, 36).mul(255).round().div(255)
    small = Downsample(factor)(clean, seeded(0))
    expected = to_levels(to_pillow(clean).resize((36 // factor, 24 // factor), Image.Resampling.BICUBIC))
    assert small.shape == (1, 3, 24 // factor, 36 // factor)
    assert torch.equal(to_bytes(small).float() / 255, small), "8 bits"
    assert (small * 255 - expected).abs().max() <= 1.01
    assert torch.equal(Downsample(1)(clean, seeded(0)), clean)


@pytest.mark.parametrize("size", [(37, 32), (32, 31)])
def test_downsampling_refuses_sizes_that_are_no_multiple(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} pixels cannot be shrunk by 2"):
        Downsample(2)(torch.rand(1, 3, *size), seeded(0))


def test_low_resolution_is_down_and_up(photo: torch.Tensor) -> None:
    small = to_pillow(photo).resize((16, 12), Image.Resampling.BICUBIC)
    expected = to_levels(small.resize((64, 48), Image.Resampling.BICUBIC))
    lost = LowResolution(4)(photo, seeded(0))
    assert (lost * 255 - expected).abs().max() <= 3, "Pillow rounds between rows and columns"
    assert torch.equal(LowResolution(1)(photo, seeded(0)), photo)
    assert torch.equal(to_bytes(lost).float() / 255, lost)


def test_jpeg_is_a_real_codec_at_every_quality_of_the_range(photo: torch.Tensor, tmp_path: Path) -> None:
    def from_file(quality: int) -> torch.Tensor:
        to_pillow(photo).save(tmp_path / "x.jpg", quality=quality, subsampling="4:2:0")
        return to_levels(Image.open(tmp_path / "x.jpg")) / 255

    for quality in (5, 50, 100):
        assert torch.equal(JPEG(quality)(photo, seeded(0)), from_file(quality))
    many = JPEG((20, 22))(photo.expand(60, -1, -1, -1), seeded(0))
    same = torch.stack([(many == from_file(quality)).flatten(1).all(1) for quality in (20, 21, 22)])
    assert (same.sum(0) == 1).all() and (same.sum(1) > 10).all()


def test_each_part_of_the_blind_mixture_adds_damage(photo: torch.Tensor) -> None:
    none = {"blur": 0, "factor": 1, "noise": 0, "quality": 100}
    errors = [
        (BlindFace(**{**none, **part})(photo, seeded(0)) - photo).square().mean().item()
        for part in ({}, {"blur": 2}, {"factor": 3}, {"noise": 0.05}, {"quality": 30})
    ]
    assert errors[0] < 2e-4 and min(errors[1:]) > 1.5 * errors[0], errors


@dataclass(frozen=True)
class Stamp:
    """Pixels of one column set to one; its mask says so."""

    column: int

    def __call__(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self.with_mask(clean, generator)[0]

    def with_mask(self, clean: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        mask = torch.zeros_like(clean[:, :1])
        mask[..., self.column] = torch.rand(1, generator=generator)
        return clean.masked_fill(mask > 0, 1), mask


def test_compose_gives_the_union_of_the_masks_and_the_same_damage() -> None:
    clean, both = torch.rand(2, 3, 5, 6) * 0.9, Compose(Stamp(1), GaussianNoise(0.1), Stamp(4))
    degraded, mask = both.with_mask(clean, seeded(5))
    assert torch.equal(degraded, both(clean, seeded(5))) and mask.shape == (2, 1, 5, 6)
    assert (mask > 0).any(2)[0, 0].tolist() == [False, True, False, False, True, False]
    assert torch.equal(Compose(Stamp(1)).with_mask(clean, seeded(5))[1][..., 1], mask[..., 1])
    with pytest.raises(ValueError, match="no step"):
        Compose(GaussianNoise(0.1)).with_mask(clean, seeded(5))


def test_repr_can_stand_in_a_table() -> None:
    assert repr(GaussianNoise(25 / 255)) == "GaussianNoise(sigma=0.09804)"
    expected = "Compose(GaussianBlur(sigma=(0.2, 3)), JPEG(quality=(50, 95)), Downsample(factor=2))"
    assert repr(Compose(GaussianBlur((0.2, 3.0)), JPEG((50, 95)), Downsample(2))) == expected


WRONG = {
    "density": lambda: SaltAndPepper(1.2),
    "salt must be .* from 0 to 1": lambda: SaltAndPepper(0.1, -0.1),
    "sigma must .* at least 0, not -1": lambda: GaussianNoise(-1),
    "not .0.2, 0.1.": lambda: GaussianNoise((0.2, 0.1)),
    "not nan": lambda: GaussianBlur(float("nan")),
    "not inf": lambda: GaussianBlur(float("inf")),
    "not .1, 2, 3.": lambda: GaussianBlur((1, 2, 3)),
    "not 'low'": lambda: GaussianBlur("low"),
    "factor must .* at least 1, not 0.5": lambda: LowResolution(0.5),
    "whole number of at least 1, not 2.5": lambda: Downsample(2.5),
    "not 0": lambda: Downsample(0),
    "quality must .* from 1 to 100, not 0": lambda: JPEG(0),
    "from 1 to 100, not .50, 101.": lambda: JPEG((50, 101)),
    "whole numbers, not 50.5": lambda: JPEG(50.5),
    "blur must": lambda: BlindFace(blur=-1),
    "noise must": lambda: BlindFace(noise=(0, -1)),
    "whole numbers": lambda: BlindFace(quality=(1, 9.5)),
}


@pytest.mark.parametrize("message", WRONG)
def test_impossible_settings_are_refused(message: str) -> None:
    make: Callable[[], Degradation] = WRONG[message]
    with pytest.raises(ValueError, match=message):
        make()
