import torch
from skimage.restoration import inpaint_biharmonic

from gan_restore.degradations.base import seeded
from gan_restore.degradations.noise import SaltAndPepper
from gan_restore.networks.impulses import biharmonic_fill, impulse_mask, likely_impulses


def test_the_mask_finds_every_impulse(photo: torch.Tensor) -> None:
    noisy = SaltAndPepper(0.1)(photo, seeded(0))
    assert torch.equal(impulse_mask(noisy), (noisy != photo).any(1, keepdim=True))


def test_a_colour_that_is_not_pure_is_no_impulse() -> None:
    red = torch.zeros(1, 3, 5, 5)
    red[:, 0] = 1
    assert not impulse_mask(red).any()


def test_black_areas_are_no_impulses_but_single_pixels_in_them_are(photo: torch.Tensor) -> None:
    photo = photo.clone()
    photo[:, :, :20, :20] = 0  # a black area of the photo
    photo[:, :, 10, 10] = 1  # salt in it
    photo[:, :, 40, 50] = 0  # pepper elsewhere
    likely = likely_impulses(photo)
    assert impulse_mask(photo).sum() == 401
    assert likely[0, 0, 10, 10] and likely[0, 0, 40, 50] and likely.sum() <= 4  # and a corner of the area


def test_the_fill_agrees_with_scikit_image(photo: torch.Tensor) -> None:
    noisy = SaltAndPepper(0.06)(photo, seeded(1))
    mask = impulse_mask(noisy)
    ours = biharmonic_fill(noisy, mask, iterations=30)
    exact = inpaint_biharmonic(noisy[0].permute(1, 2, 0).numpy(), mask[0, 0].numpy(), channel_axis=-1)
    inner = (slice(2, -2), slice(2, -2))  # the two treat the border of the image differently
    difference = (ours[0].permute(1, 2, 0).numpy() - exact)[inner]
    assert abs(difference).max() < 0.02 and abs(difference).mean() < 1e-3
    assert torch.equal(ours[~mask.expand_as(ours)], noisy[~mask.expand_as(noisy)])


def test_the_fill_of_an_image_does_not_depend_on_its_batch(photo: torch.Tensor) -> None:
    noisy = torch.cat([SaltAndPepper(0.06)(photo, seeded(i)) for i in range(3)])
    together = biharmonic_fill(noisy, impulse_mask(noisy))
    alone = torch.cat([biharmonic_fill(image, impulse_mask(image)) for image in noisy.split(1)])
    assert torch.allclose(together, alone, atol=1e-6)
