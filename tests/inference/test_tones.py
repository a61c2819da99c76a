import pytest
import torch
from support import tiny
from torch import Tensor

from gan_restore.inference import Restorer
from gan_restore.inference.finishing import finish

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def sepia(photo: Tensor) -> Tensor:
    gray = (photo * LUMA).sum(1, keepdim=True)
    return (gray + gray * (1 - gray) * torch.tensor([0.3, 0.0, -0.4]).view(1, 3, 1, 1)).clamp(0, 1)


def gray(photo: Tensor) -> Tensor:
    return (photo * LUMA).sum(1, keepdim=True).expand(-1, 3, -1, -1)


def with_tone(degraded: Tensor, restored: Tensor) -> Tensor:
    kept = restored.clone()
    finish(degraded, kept, keep_tone=True)
    return kept


@pytest.mark.parametrize("tone", [gray, sepia])
def test_scars_of_another_colour_get_the_tone_of_the_photo(tone: object, photo: Tensor) -> None:
    clean = tone(photo)
    degraded, restored = clean.clone(), clean.clone()
    degraded[..., 10:13, :] = 1  # a scratch
    restored[:, 0, 10:13] += 0.06  # repaired in pink
    kept = with_tone(degraded, restored)
    assert (kept - clean).abs()[..., 10:13, :].max() < 0.03 < (restored - clean).abs().max()
    assert torch.equal(kept[..., 20:, :], restored[..., 20:, :]), "what was not repaired stays as it is"


def test_photos_in_colour_are_left_as_they_are() -> None:
    degraded, restored = torch.rand(2, 3, 40, 30), torch.rand(2, 3, 40, 30)
    assert torch.equal(with_tone(degraded, restored), restored)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_an_image_of_one_brightness_has_one_tone(value: float) -> None:
    degraded = torch.full((1, 3, 9, 7), value)
    kept = with_tone(degraded, (degraded + torch.tensor([0.2, 0, 0]).view(1, 3, 1, 1)).clamp(0, 1))
    assert (kept.amax(1) - kept.amin(1)).max() < 1e-6


def test_the_recipe_decides_whether_the_tone_is_kept(photo: Tensor) -> None:
    for damage, kept in (("scratches", False), ("print", True)):
        recipe = tiny("pix2pix", damage=damage)
        generator = recipe.generator()
        torch.nn.init.constant_(generator.out.bias, 1.0)
        generator.out.bias.data[1:] = 0  # adds red
        restored = Restorer(generator, recipe=recipe)(gray(photo) * 0.5)
        assert ((restored.amax(1) - restored.amin(1)).max() < 0.01) == kept
