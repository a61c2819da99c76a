import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from gan_restore.metrics.fidelity import (
    NORMALISED_PSNR_CAP,
    PSNR_CAP,
    estimated_mos,
    luma,
    mean_shift,
    mse,
    normalised_psnr,
    psnr,
    ssim,
    texture_distance,
)

SIZES = [(37, 31), (64, 64), (11, 40)]


@pytest.mark.parametrize("size", SIZES)
def test_agreement_with_scikit_image(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    clean = torch.rand(3, 3, *size)
    restored = (clean + 0.1 * torch.randn_like(clean)).clamp(0, 1)
    for i in range(3):
        a, b = (image[i].permute(1, 2, 0).double().numpy() for image in (clean, restored))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = structural_similarity(a, b, data_range=1.0, channel_axis=-1, **options)
        assert psnr(restored, clean)[i].item() == pytest.approx(
            peak_signal_noise_ratio(a, b, data_range=1), abs=1e-9
        )
        assert mse(restored, clean)[i].item() == pytest.approx(mean_squared_error(a, b), abs=1e-9)
        assert ssim(restored, clean)[i].item() == pytest.approx(expected, abs=1e-4)


def test_equal_images() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert (psnr(image, image) == PSNR_CAP).all() and torch.allclose(ssim(image, image), torch.ones(2))


def test_ssim_of_a_large_image_is_the_same_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(2, 3, 37, 31), torch.rand(2, 3, 37, 31)
    whole = ssim(*images)
    monkeypatch.setattr("gan_restore.strips.WHOLE_PIXELS", 0)
    for pixels in (1, 2 * 31 * 5, 2 * 31 * 26):
        monkeypatch.setattr("gan_restore.strips.STRIP_PIXELS", pixels)
        assert torch.allclose(ssim(*images), whole, atol=1e-6)


def test_too_small_for_ssim() -> None:
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(torch.rand(1, 3, 8, 30), torch.rand(1, 3, 8, 30))


@pytest.mark.parametrize("size", SIZES)
def test_luma_is_scikit_images(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    expected = rgb2ycbcr(image.permute(0, 2, 3, 1).double().numpy())[..., 0] / 255
    np.testing.assert_allclose(luma(image)[:, 0].numpy(), expected, atol=1e-6)


def test_the_mean_shift_finds_a_cast_that_luma_does_not() -> None:
    clean = torch.full((2, 3, 9, 12), 0.5)
    cast = clean.clone()
    cast[1, 0] += 10 / 255
    cast[1, 1] -= 10 / 255 * 65.481 / 128.553
    assert mean_shift(cast, clean)[0].abs().max() == 0
    assert mean_shift(cast, clean)[1].tolist() == pytest.approx([10, -5.094, 0], abs=1e-3)
    assert (luma(cast) - luma(clean)).abs().max() < 1e-6


def test_the_normalised_psnr_is_a_ratio_with_a_largest_value() -> None:
    restored, degraded = torch.tensor([30.0, 20.0, 90.0, 5.0]), torch.tensor([20.0, 20.0, 20.0, 0.0])
    expected = [1.5, 1, NORMALISED_PSNR_CAP, NORMALISED_PSNR_CAP]
    assert normalised_psnr(restored, degraded).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_estimated_opinion(dtype: torch.dtype) -> None:
    values = torch.tensor([PSNR_CAP, 37.1, 37, 31.1, 31, 25.1, 25, 20.1, 20, 3], dtype=dtype)
    assert estimated_mos(values).tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]


def test_texture_distance_sees_blur_and_noise_but_not_place(photo: torch.Tensor) -> None:
    rough = (photo + 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    smooth = torch.nn.functional.avg_pool2d(rough, 3, 1, 1)
    assert texture_distance(rough, rough) == 0 == texture_distance(rough.flip(3), rough)
    assert texture_distance(smooth, rough) > 1 and texture_distance(rough, photo) > 1
    across = torch.tensor([0.0, 0.1]).repeat(4).expand(1, 3, 8, 8)  # half of the steps are 0.1, the others 0
    assert texture_distance(across, torch.zeros(1, 3, 8, 8)).item() == pytest.approx(255 * 0.1 / 2)
