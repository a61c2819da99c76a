import pytest
import torch
from conftest import ODD

from gan_restore import baselines, recipes
from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.metrics import psnr

ALL = {"unchanged": baselines.unchanged, **recipes.get("unet-denoiser").baselines()}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", ODD)
def test_a_batch_in_a_batch_out_of_the_same_kind(name: str, size: tuple[int, int]) -> None:
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


def test_the_median_is_torchs() -> None:
    image = torch.rand(1, 3, 9, 9)
    windows = image.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
    assert torch.equal(baselines.median(image)[..., 1:-1, 1:-1], windows.median(4).values)


def test_black_areas_of_a_photo_survive_the_careful_inpainting(photo: torch.Tensor) -> None:
    photo = photo.clone()
    photo[..., :20, :20] = 0
    noisy = SaltAndPepper(0.03)(photo, seeded(0))
    careless, careful = baselines.inpaint_impulses(noisy), baselines.inpaint_likely_impulses(noisy)
    assert psnr(careful, photo) > psnr(careless, photo) + 5
