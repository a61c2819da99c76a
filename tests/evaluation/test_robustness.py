import dataclasses

from support import noise_images, tiny

from gan_restore.evaluation import methods, robustness_sweep


def test_psnr_falls_as_the_noise_grows() -> None:
    recipe = tiny("pix2pix")
    sweep = robustness_sweep(recipe, noise_images(*[(30, 40)] * 3), methods(recipe)[:2], limit=2, crop=24)
    assert list(sweep) == ["degraded input", "median 3x3"]
    line = sweep["degraded input"]
    assert len(line) == len(recipe.robustness[1]) and line == sorted(line, reverse=True) and line[0] > line[-1] + 1


def test_degraded_images_of_the_data_set_are_left_out() -> None:
    recipe, images = tiny("pix2pix"), noise_images((30, 40))
    paired = dataclasses.replace(images, degraded=images.arrays)
    only_input = methods(recipe)[:1]
    assert robustness_sweep(recipe, paired, only_input) == robustness_sweep(recipe, images, only_input)
