import pytest
import torch
import torch.nn.functional as F
from support import ODD

from gan_restore.degradations import OldPrint, seeded, toned

NOTHING = {"scratches": 0, "dust": 0, "creases": 0, "blotches": 0, "torn": 0, "grain": 0}


def only(**settings: object) -> OldPrint:
    return OldPrint(**(NOTHING | settings))


@pytest.mark.parametrize("size", [*ODD, (1, 1), (90, 700)])
def test_damage_lies_within_its_mask_and_depends_on_the_seed(size: tuple[int, int]) -> None:
    damage, clean = OldPrint(grain=0, torn=1), torch.rand(4, 3, *size) * 0.6 + 0.1
    before = clean.clone()
    degraded, mask = damage.with_mask(clean, seeded(3))
    assert torch.equal(clean, before) and torch.equal(degraded, damage(clean, seeded(3)))
    assert degraded.shape == clean.shape and mask.shape == (4, 1, *size)
    assert degraded.min() >= 0 and degraded.max() <= 1 and mask.min() >= 0 and mask.max() <= 1
    changed = (degraded - clean).abs().amax(1, keepdim=True) > 1e-6
    assert not (changed & (mask == 0)).any(), "nothing but what the mask covers is touched"
    assert size == (1, 1) or not torch.equal(degraded, damage(clean, seeded(4)))


def test_no_wear_is_no_damage(photo: torch.Tensor) -> None:
    degraded, mask = only().with_mask(photo, seeded(0))
    assert torch.equal(degraded, photo) and not mask.any()


@pytest.mark.parametrize(
    "wear", [{"scratches": 6}, {"dust": 60}, {"creases": 4}, {"blotches": 1.0}, {"torn": 1.0}, {"grain": 0.05}]
)
def test_each_kind_of_wear_shows(wear: dict[str, float], photo: torch.Tensor) -> None:
    photos = photo.expand(16, -1, -1, -1)
    assert (only(**wear)(photos, seeded(1)) - photos).abs().max() > 0.05


def test_a_print_is_damaged_alike_at_every_resolution() -> None:
    small = torch.full((1, 3, 384, 512), 0.3)
    large = F.interpolate(small, scale_factor=4)
    damage = OldPrint(grain=0)
    one, four = (damage.with_mask(image, seeded(5))[1] for image in (small, large))
    assert (F.avg_pool2d(four, 4) - one).abs().mean() < 0.01 < one.mean()


def test_creases_have_a_light_and_a_dark_side() -> None:
    gray = torch.full((8, 3, 128, 128), 0.5)
    degraded = only(creases=4, shadow=0.5)(gray, seeded(0))
    assert degraded.min() < 0.4 and degraded.max() > 0.6


def test_torn_prints_show_bright_paper_at_the_border() -> None:
    dark = torch.full((32, 3, 96, 96), 0.1)
    degraded, mask = only(torn=1.0).with_mask(dark, seeded(0))
    assert degraded[(mask == 1).expand_as(degraded)].min() > 0.4
    border = mask[..., [0, -1], :].mean() + mask[..., :, [0, -1]].mean()
    assert border / 2 > 5 * mask[..., 32:64, 32:64].mean()


def test_toned_photos_are_gray_sepia_faded_or_in_colour(photo: torch.Tensor) -> None:
    clean = photo.expand(64, -1, -1, -1)
    looks = toned(clean, 0.75, seeded(0))
    assert torch.equal(looks, toned(clean, 0.75, seeded(0))) and looks.min() >= 0 and looks.max() <= 1
    same = (looks == clean).flatten(1).all(1)
    assert 8 <= same.sum() <= 24, "a quarter is left as it is"
    spread = (looks.amax(1) - looks.amin(1)).mean((1, 2))
    gray = spread < 1e-6
    warm = (looks[:, 0] - looks[:, 2]).mean((1, 2)) > 0.03
    assert 8 <= gray.sum() <= 32 and (warm & ~same).sum() >= 8
    assert torch.equal(toned(clean, 0.0, seeded(0)), clean)


@pytest.mark.parametrize("wrong", [{"dust": -1}, {"torn": 1.5}, {"grain": "much"}, {"blotches": -0.1}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        OldPrint(**wrong)
