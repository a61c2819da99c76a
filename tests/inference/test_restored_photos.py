import warnings
from pathlib import Path

import pytest
import torch
from support import ODD, save_model, tiny

from gan_restore.degradations.base import seeded
from gan_restore.degradations.noise import SaltAndPepper
from gan_restore.files import UserError
from gan_restore.images import write
from gan_restore.inference import (
    Compute,
    Restorer,
    load_restorer,
    restore_file,
    restore_photo,
    restored_photos,
)
from gan_restore.inference.checkpoints import save_generator
from gan_restore.metrics.fidelity import psnr
from gan_restore.photos import Photo, PhotoWarning, read_photo


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
    before = Photo.of(gray, alpha=torch.rand(1, 1, *size), gray=True, bits=16)
    after = restore_photo(before, load_restorer(checkpoint))
    assert (
        after.rgb.shape == gray.shape
        and after.alpha_pixels is before.alpha_pixels
        and after.gray
        and after.bits == 16
    )


def test_super_resolution_enlarges_transparency_too(tmp_path: Path, photo: torch.Tensor) -> None:
    recipe = tiny("srgan")
    save_generator(tmp_path / "c.safetensors", recipe.generator(), recipe)
    alpha = torch.ones(1, 1, 48, 64)
    alpha[..., :24, :] = 0
    after = restore_photo(Photo.of(photo, alpha=alpha), load_restorer(tmp_path / "c.safetensors"))
    assert after.rgb.shape == (1, 3, 96, 128) and after.alpha.shape == (1, 1, 96, 128)
    assert after.alpha[..., :40, :].max() < 0.01 and after.alpha[..., 56:, :].min() > 0.99


@pytest.mark.parametrize("name", ["unet-denoiser", "srgan"])
@pytest.mark.parametrize("gray", [False, True])
def test_large_photos_are_kept_in_bytes(name: str, gray: bool, photo: torch.Tensor, monkeypatch) -> None:
    recipe = tiny(name)
    restorer = Restorer(recipe.generator(), Compute(device="cpu"), recipe)
    alpha = torch.rand(1, 1, *photo.shape[-2:])
    for bits in (8, 16):
        before = Photo.of(photo, alpha, gray, bits)
        precise = restore_photo(before, restorer)
        with monkeypatch.context() as patch:
            patch.setattr(restored_photos, "_IN_FLOAT", 0)
            after = restore_photo(before, restorer)
        assert after.pixels.dtype == before.pixels.dtype and after.gray == gray
        assert (after.pixels.int() - precise.pixels.int()).abs().max() <= 1
        assert torch.equal(after.alpha_pixels, precise.alpha_pixels)


def test_with_preserve_a_clean_photo_stays_clean(photo: torch.Tensor) -> None:
    recipe = tiny("pix2pix")
    generator = recipe.generator()
    torch.nn.init.constant_(generator.out.bias, 0.1)  # adds a hundredth
    before = Photo.of(photo)
    changed = restore_photo(before, Restorer(generator, recipe=recipe))
    assert (changed.pixels.int() - before.pixels.int()).abs().min() >= 2
    kept = restore_photo(before, Restorer(generator, recipe=recipe, preserve=0.02))
    assert torch.equal(kept.pixels, before.pixels)


def test_a_model_that_changes_more_than_its_test_images_were_damaged_is_told(models_folder, photo) -> None:
    save_model("scratches")
    restorer = load_restorer("scratches")
    assert restorer.usual_change == pytest.approx(0.1), "the mean squared error in the card is 0.01"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restore_photo(Photo.of(photo), restorer)
    torch.nn.init.constant_(restorer.generator.out.bias, 0.1)  # adds a hundredth
    restorer.usual_change = 0.003
    with pytest.warns(PhotoWarning, match="it changed 3 times as much as the model's test images"):
        restore_photo(Photo.of(photo), restorer)


def test_the_progress_of_several_restorers_is_that_of_all(photo: torch.Tensor) -> None:
    told: list[float] = []
    restorers = [Restorer(tiny().generator()) for _ in range(2)]
    restore_photo(Photo.of(photo), *restorers, progress=told.append)
    assert told == [0, 0.5, 0.5, 1]


def test_a_mask_needs_the_size_of_the_photo_and_of_the_result(photo: torch.Tensor) -> None:
    mask = torch.ones(1, 1, 48, 64, dtype=torch.bool)
    recipe = tiny("srgan")
    with pytest.raises(UserError, match="an enlargement has none"):
        restore_photo(Photo.of(photo), Restorer(recipe.generator(), recipe=recipe), mask=mask)
    with pytest.raises(UserError, match="the mask has 63 x 48 pixels, and the photo 64 x 48"):
        restore_photo(Photo.of(photo), Restorer(tiny().generator()), mask=mask[..., :63])
