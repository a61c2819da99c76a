import numpy as np
import pytest
import torch
from skimage.morphology import black_tophat, disk, footprint_rectangle, white_tophat
from support import ODD

from gan_restore.networks.top_hats import top_hats


def test_thin_marks_are_found_and_wide_ones_are_not(photo: torch.Tensor) -> None:
    image = photo.clone()
    image[..., 5, :] = 1.0  # a light scratch
    image[..., :, 50] = 0.0  # a dark one
    light, dark = top_hats(image, radius=2).split(1, dim=1)
    assert light[..., 5, 2:48].min() > 0.1 and dark[..., 8:, 50].min() > 0.1
    assert light[..., 22:28, 22:38].max() < 0.02, "the patch of the photo is wide"


@pytest.mark.parametrize("size", [*ODD, (1, 1)])
@pytest.mark.parametrize("radius", [0, 1, 4])
@pytest.mark.parametrize("footprint", ["square", "disk"])
def test_the_top_hats_are_those_of_scikit_image(size: tuple[int, int], radius: int, footprint: str) -> None:
    images = torch.rand(2, 3, *size)
    pixels = disk(radius) if footprint == "disk" else footprint_rectangle((2 * radius + 1, 2 * radius + 1))
    expected = [
        [top_hat(brightness, pixels) for top_hat in (white_tophat, black_tophat)]
        for brightness in images.mean(1).numpy()
    ]
    np.testing.assert_array_equal(top_hats(images, radius, footprint).numpy(), expected)


def test_an_unknown_footprint_is_refused() -> None:
    with pytest.raises(ValueError, match="footprint must be 'square' or 'disk', not 'circle'"):
        top_hats(torch.rand(1, 3, 8, 8), footprint="circle")
