import dataclasses

import pytest
from support import noise_images, tiny

from gan_restore.evaluation import methods, robustness_sweep
from gan_restore.files import UserError


def test_psnr_falls_as_the_noise_grows() -> None:
    recipe = tiny("pix2pix")
    sweep = robustness_sweep(recipe, noise_images(*[(30, 40)] * 3), methods(recipe)[:2], limit=2, crop=24)
    assert list(sweep) == ["degraded input", "median 3x3"]
    line = sweep["degraded input"]
    assert len(line) == len(recipe.robustness[1]) and line == sorted(line, reverse=True) and line[0] > line[-1] + 1


def test_a_data_set_with_degraded_images_of_its_own_is_refused() -> None:
    images = noise_images((30, 40))
    images = dataclasses.replace(images, degraded=images.arrays)
    with pytest.raises(UserError, match="noise brings its own degraded images"):
        robustness_sweep(tiny("pix2pix"), images, [])
