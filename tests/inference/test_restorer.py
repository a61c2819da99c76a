from pathlib import Path

import pytest
import torch
from support import ODD, tiny

from gan_restore.degradations.base import seeded
from gan_restore.degradations.noise import SaltAndPepper
from gan_restore.images import Photo, read_photo, write
from gan_restore.inference.checkpoints import save_generator
from gan_restore.inference.restorer import load_restorer, restore_file, restore_photo
from gan_restore.metrics.fidelity import psnr


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_generator(tmp_path / "c.safetensors", tiny().generator(), tiny())
    return tmp_path / "c.safetensors"


def test_a_file_is_restored_and_undamaged_pixels_are_kept(checkpoint: Path, tmp_path: Path, photo) -> None:
    noisy = SaltAndPepper(0.06)(photo, seeded(0))
    write(tmp_path / "noisy.png", noisy)
    restore_file(tmp_path / "noisy.png", tmp_path / "out" / "noisy.png", load_restorer(checkpoint))
    restored = read_photo(tmp_path / "out" / "noisy.png").rgb
    assert psnr(restored, photo) > psnr(noisy, photo) + 8
    fine = noisy == photo
    assert torch.equal(restored[fine], noisy[fine])


@pytest.mark.parametrize("size", ODD)
def test_gray_alpha_and_depth_are_kept(checkpoint: Path, size: tuple[int, int]) -> None:
    gray = torch.rand(1, 1, *size).expand(-1, 3, -1, -1)
    before = Photo(gray, alpha=torch.rand(1, 1, *size), gray=True, bits=16)
    after = restore_photo(before, load_restorer(checkpoint))
    assert after.rgb.shape == gray.shape and after.alpha is before.alpha and after.gray and after.bits == 16


def test_super_resolution_enlarges_transparency_too(tmp_path: Path, photo: torch.Tensor) -> None:
    recipe = tiny("srgan")
    save_generator(tmp_path / "c.safetensors", recipe.generator(), recipe)
    alpha = torch.ones(1, 1, 48, 64)
    alpha[..., :24, :] = 0
    after = restore_photo(Photo(photo, alpha=alpha), load_restorer(tmp_path / "c.safetensors"))
    assert after.rgb.shape == (1, 3, 96, 128) and after.alpha.shape == (1, 1, 96, 128)
    assert after.alpha[..., :40, :].max() < 0.01 and after.alpha[..., 56:, :].min() > 0.99
