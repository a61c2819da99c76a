import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from gan_restore.metrics import PSNR_CAP, mse, psnr, ssim

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
            peak_signal_noise_ratio(a, b, data_range=1), abs=1e-4
        )
        assert mse(restored, clean)[i].item() == pytest.approx(mean_squared_error(a, b), abs=1e-9)
        assert ssim(restored, clean)[i].item() == pytest.approx(expected, abs=1e-4)


def test_equal_images() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert (psnr(image, image) == PSNR_CAP).all() and torch.allclose(ssim(image, image), torch.ones(2))


def test_too_small_for_ssim() -> None:
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(torch.rand(1, 3, 8, 30), torch.rand(1, 3, 8, 30))
