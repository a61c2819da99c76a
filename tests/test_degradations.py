import pytest
import torch
from conftest import ODD

from gan_restore.degradations import Compose, Degradation, GaussianNoise, SaltAndPepper, seeded

ALL = [
    SaltAndPepper(0.06),
    SaltAndPepper(0.3, salt=0.2),
    GaussianNoise(0.1),
    Compose(GaussianNoise(0.05), SaltAndPepper(0.1)),
]


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("degradation", ALL, ids=repr)
def test_one_seed_gives_one_damage_and_the_clean_batch_is_kept(
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


def test_impossible_settings_are_refused() -> None:
    for wrong in (lambda: SaltAndPepper(1.2), lambda: SaltAndPepper(0.1, -0.1), lambda: GaussianNoise(-1)):
        with pytest.raises(ValueError):
            wrong()
