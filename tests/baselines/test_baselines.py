import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from support import ODD

from gan_restore import baselines, recipes, strips
from gan_restore.degradations.base import seeded
from gan_restore.degradations.noise import GaussianNoise, SaltAndPepper
from gan_restore.images import quantise
from gan_restore.metrics.fidelity import psnr

NOISE = {
    "non-local means for noise": baselines.non_local_means_for_noise,
    "total variation": baselines.total_variation,
    "bilateral": baselines.bilateral,
    "sliding DCT": baselines.sliding_dct,
}
ALL = {
    "unchanged": baselines.unchanged,
    **recipes.get("unet-denoiser").baselines(),
    **NOISE,
    "sliding DCT, stride 3": partial(baselines.sliding_dct, noise=0.1, stride=3),
    "Wiener": baselines.wiener(1.2),
    "Richardson-Lucy": baselines.richardson_lucy(1.2, iterations=3),
    "denoise and sharpen": baselines.denoise_and_sharpen(0.8),
    "inpaint scratches": baselines.inpaint_scratches,
}


@pytest.fixture(scope="module")
def real() -> torch.Tensor:
    """A part of a real photo, 1 x 3 x 96 x 128."""
    return recipes.get("unet-denoiser").images("test").clean(0, crop=128)[..., :96, :].contiguous()


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    values = gaussian_filter(images.numpy(), (0, 0, sigma, sigma))
    return quantise(torch.from_numpy(values))


def scratched(photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A light, a dark and a slanting scratch, 2 to 3 pixels wide, and their mask."""
    mask, ink = torch.zeros_like(photo[:, :1]), photo.clone()
    for top, left, down, across, value in ((5, 4, 0.0, 1.0, 0.98), (2, 50, 1.0, 0.0, 0.02), (36, 8, 0.2, 1.0, 1.0)):
        for step in range(40):
            row, column = round(top + step * down), round(left + step * across)
            mask[..., row : row + 2 + (value == 1), column : column + 2] = 1
            ink[..., row : row + 2 + (value == 1), column : column + 2] = value
    return ink, mask


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", ODD)
def test_a_batch_keeps_its_shape_and_range(name: str, size: tuple[int, int]) -> None:
    degraded = SaltAndPepper(0.1)(torch.rand(2, 3, *size), seeded(0))
    before = degraded.clone()
    restored = ALL[name](degraded)
    assert restored.shape == degraded.shape and restored.dtype == torch.float32
    assert restored.min() >= 0 and restored.max() <= 1
    assert torch.equal(degraded, before)
    alone = torch.cat([ALL[name](image) for image in degraded.split(1)])
    assert torch.allclose(restored, alone, atol=1e-5), "an image does not depend on its batch"


@pytest.mark.parametrize(
    ("name", "least"),
    [("median 3x3", 8), ("adaptive median", 12), ("biharmonic, all pure pixels", 18), ("non-local means", 1)],
)
def test_each_restores(photo: torch.Tensor, name: str, least: float) -> None:
    noisy = SaltAndPepper(0.06)(photo, seeded(0))
    assert psnr(ALL[name](noisy), photo).item() > psnr(noisy, photo).item() + least


def test_the_adaptive_median_by_hand() -> None:
    image = torch.full((1, 3, 5, 5), 0.5)
    image[..., 2, 2] = 1.0  # an impulse
    image[..., 0, :] = 0.25
    assert (baselines.adaptive_median(image)[..., 2, 2] == 0.5).all()
    smooth = torch.linspace(0.1, 0.9, 25).reshape(1, 1, 5, 5).expand(-1, 3, -1, -1)
    assert torch.equal(baselines.adaptive_median(smooth)[..., 1:-1, 1:-1], smooth[..., 1:-1, 1:-1])


@pytest.mark.parametrize("size", ODD)
def test_the_adaptive_median_by_its_definition(size: tuple[int, int]) -> None:
    noisy = SaltAndPepper(0.4)(torch.rand(2, 3, *size), seeded(0))
    expected, undecided = noisy.clone(), torch.ones_like(noisy, dtype=torch.bool)
    for side in (3, 5, 7):
        padded = F.pad(noisy, [side // 2] * 4, mode="reflect")
        windows = padded.unfold(2, side, 1).unfold(3, side, 1).flatten(4)
        lowest, middle, highest = windows.amin(4), windows.median(4).values, windows.amax(4)
        decided = undecided & ((lowest < middle) & (middle < highest) | torch.tensor(side == 7))
        expected = torch.where(decided & ~((lowest < noisy) & (noisy < highest)), middle, expected)
        undecided &= ~decided
    assert torch.equal(baselines.adaptive_median(noisy), expected)


def test_the_adaptive_median_needs_little_memory() -> None:
    noisy = torch.rand(1, 3, 100, 100)
    tracemalloc.start()
    baselines.adaptive_median(noisy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * noisy.nbytes


def test_the_median_is_torchs() -> None:
    image = torch.rand(1, 3, 9, 9)
    windows = image.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
    assert torch.equal(baselines.median(image)[..., 1:-1, 1:-1], windows.median(4).values)


def test_likely_impulses_leave_black_areas_of_a_photo_alone(photo: torch.Tensor) -> None:
    photo = photo.clone()
    photo[..., :20, :20] = 0
    noisy = SaltAndPepper(0.03)(photo, seeded(0))
    every_pure, likely = baselines.inpaint_impulses(noisy), baselines.inpaint_likely_impulses(noisy)
    assert psnr(likely, photo) > psnr(every_pure, photo) + 5


@pytest.mark.parametrize(("sigma", "tolerance"), [(5 / 255, 0.5), (15 / 255, 0.25), (40 / 255, 0.15)])
@pytest.mark.parametrize("size", ODD)
def test_the_noise_level_is_found_where_there_is_little_texture(
    sigma: float, tolerance: float, size: tuple[int, int]
) -> None:
    flat = torch.stack([torch.full((3, *size), 0.4), torch.linspace(0.3, 0.7, size[1]).expand(3, *size)])
    noisy = flat + sigma * torch.randn(flat.shape, generator=seeded(0))
    assert baselines.estimate_noise(noisy).tolist() == pytest.approx([sigma] * 2, rel=tolerance)
    assert baselines.estimate_noise(flat).max() < 0.005, "images without noise"


@pytest.mark.parametrize(
    ("name", "least"),
    [("non-local means for noise", 4), ("total variation", 3), ("bilateral", 4), ("sliding DCT", 5.5)],
)
def test_each_denoises(real: torch.Tensor, name: str, least: float) -> None:
    noisy = GaussianNoise(20 / 255)(real, seeded(0))
    assert psnr(NOISE[name](noisy), real).item() > psnr(noisy, real).item() + least
    assert psnr(NOISE[name](real), real).item() > 30, "a clean photo changes little"


def test_a_known_noise_level_is_used(real: torch.Tensor) -> None:
    noisy = GaussianNoise(20 / 255)(real, seeded(0))
    right, wrong = (psnr(baselines.sliding_dct(noisy, level / 255), real).item() for level in (20, 4))
    assert right > wrong + 3
    assert psnr(baselines.sliding_dct(noisy, 20 / 255, stride=1), real).item() > right
    assert torch.equal(baselines.sliding_dct(real, 0.0), real), "no noise is a known level, too"


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_sliding_dct_is_the_same_in_strips(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = torch.rand(1, 3, 67, 31)
    whole = baselines.sliding_dct(noisy, 0.2, stride)
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 0)
    for rows in (1, 7, 24):
        monkeypatch.setattr(strips, "STRIP_PIXELS", rows * 31)
        assert torch.allclose(baselines.sliding_dct(noisy, 0.2, stride), whole, atol=1e-5)


@pytest.mark.parametrize(("restore", "least"), [(baselines.wiener(1.5), 2), (baselines.richardson_lucy(1.5), 1.5)])
def test_each_sharpens(real: torch.Tensor, restore: baselines.Restoration, least: float) -> None:
    soft = blurred(real, 1.5)
    assert psnr(restore(soft), real).item() > psnr(soft, real).item() + least


def test_without_blur_nothing_is_sharpened(real: torch.Tensor) -> None:
    assert psnr(baselines.wiener(0.0, 1e-6)(real), real).item() > 60
    assert torch.allclose(baselines.richardson_lucy(0.0)(real), real, atol=1e-3)


def test_denoising_and_sharpening_is_stronger_than_either(real: torch.Tensor) -> None:
    damaged = quantise(GaussianNoise(6 / 255)(blurred(real, 1.0), seeded(0)))
    both, denoised = baselines.denoise_and_sharpen(1.0)(damaged), baselines.sliding_dct(damaged)
    assert psnr(both, real) > max(psnr(denoised, real), psnr(baselines.wiener(1.0, 0.01)(damaged), real)) + 0.2


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("size", ODD)
def test_enlargement_is_pillows(factor: int, size: tuple[int, int]) -> None:
    small = torch.rand(2, 3, *size)
    target = (size[1] * factor, size[0] * factor)
    for restore, filter_ in (
        (baselines.bicubic(factor), Image.Resampling.BICUBIC),
        (baselines.lanczos(factor), Image.Resampling.LANCZOS),
    ):
        large = restore(small)
        assert large.shape == (2, 3, size[0] * factor, size[1] * factor)
        expected = Image.fromarray(small[1, 2].numpy()).resize(target, filter_)
        np.testing.assert_allclose(large[1, 2].numpy(), np.asarray(expected).clip(0, 1), atol=1e-4)


def test_scratches_are_found_and_filled(photo: torch.Tensor) -> None:
    degraded, mask = scratched(photo)
    found = baselines.detect_scratches(torch.cat([degraded, photo]))
    assert found.shape == (2, 1, 48, 64) and found.dtype == torch.bool
    assert found[:1][mask > 0].float().mean() > 0.9 and found[1].float().mean() < 0.02
    filled, known = baselines.inpaint_scratches(degraded), baselines.inpaint_known(degraded, mask)
    assert psnr(filled, photo).item() > psnr(degraded, photo).item() + 10
    assert psnr(known, photo).item() > psnr(filled, photo).item()
    assert torch.equal(known[(mask == 0).expand_as(known)], degraded[(mask == 0).expand_as(known)])


def test_without_a_mask_nothing_changes(photo: torch.Tensor) -> None:
    assert torch.equal(baselines.inpaint_known(photo, torch.zeros_like(photo[:, :1])), photo)
