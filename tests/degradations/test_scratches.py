import pickle
import shutil
from pathlib import Path

import pytest
import skimage.data
import torch
from support import ODD

from gan_restore.degradations.base import Compose, seeded
from gan_restore.degradations.noise import GaussianNoise
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.scratches import Scratches, _Disks, _draw_disks
from gan_restore.files import UserError
from gan_restore.images import to_tensor, write

KINDS = ("lines", "curves", "cracks", "dust", "stains")


def only(kind: str, count: float = 6, **settings: object) -> Scratches:
    return Scratches(**(dict.fromkeys(KINDS, 0) | {kind: count} | settings))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three scans of different sizes: a cross of white on black, with the noise that a scanner adds."""
    for i, (height, width) in enumerate([(90, 120), (200, 80), (20, 20)]):
        scan = 0.02 * torch.rand(1, 3, height, width)
        scan[:, :, height // 2 - 2 : height // 2 + 2] = 1
        scan[..., width // 3 - 2 : width // 3 + 2] = 1
        write(tmp_path / "scans" / f"{i}.png", scan)
    return tmp_path / "scans"


@pytest.mark.parametrize("size", [*ODD, (1, 1)])
@pytest.mark.parametrize("kind", ["strokes", "overlay", "both", *KINDS])
def test_damage_lies_within_its_mask_and_depends_on_the_seed(kind: str, size: tuple[int, int], scans: Path) -> None:
    overlay, some = ScratchOverlay(str(scans)), {"strokes": Scratches()}
    some |= {"overlay": overlay, "both": Compose(Scratches(), overlay)}
    damage = some.get(kind) or only(kind, 40)
    clean = torch.rand(5, 3, *size) * 0.6 + 0.1  # neither white nor black: marks always show
    before = clean.clone()
    degraded, mask = damage.with_mask(clean, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(degraded, damage(clean, seeded(3))), "the call gives the same"
    assert torch.equal(clean, before) and degraded.shape == clean.shape and degraded.dtype == clean.dtype
    assert mask.shape == (5, 1, *size) and mask.min() >= 0 and mask.max() <= 1
    assert degraded.min() >= 0 and degraded.max() <= 1
    changed = (degraded != clean).any(1, keepdim=True)
    assert not (changed & (mask == 0)).any(), "nothing but what the mask covers is touched"
    if size != (1, 1):
        assert (mask > 0.1).any() and changed[mask > 0.1].float().mean() > 0.98
        assert not torch.equal(degraded, damage(clean, seeded(4)))


def test_none_of_each_kind_is_no_damage(photo: torch.Tensor) -> None:
    degraded, mask = only("lines", 0).with_mask(photo, seeded(0))
    assert torch.equal(degraded, photo) and not mask.any()


@pytest.mark.parametrize("kind", KINDS)
def test_small_crops_and_large_photos_are_damaged_as_densely(kind: str) -> None:
    damage = only(kind, 30 if kind == "dust" else 6)
    small = damage.with_mask(torch.zeros(320, 3, 64, 64), seeded(0))[1].mean().item()
    large = damage.with_mask(torch.zeros(2, 3, 700, 600), seeded(1))[1].mean().item()
    twice = only(kind, 60 if kind == "dust" else 12).with_mask(torch.zeros(2, 3, 700, 600), seeded(2))[1].mean()
    assert small == pytest.approx(large, rel=0.3) and large > 0.001
    assert 1.5 < twice.item() / large < 2.5


def test_the_default_covers_5_to_11_percent_of_a_face() -> None:
    face = to_tensor(skimage.data.astronaut()[:256, 96:352]).expand(16, -1, -1, -1)
    degraded, mask = Scratches().with_mask(face, seeded(0))
    psnr = -10 * (degraded - face).square().mean((1, 2, 3)).log10()
    assert 0.05 < (mask > 0.05).float().mean() < 0.11 and 18 < psnr.mean() < 23
    assert 0.5 < (degraded > face).sum() / (degraded != face).sum() < 0.95, "mostly light"


def test_settings_mean_what_they_say() -> None:
    gray, lines = torch.full((4, 3, 128, 128), 0.5), {"width": 6, "brightness": 0.8}
    degraded, mask = only("lines", 12, opacity=1, dark=0, **lines).with_mask(gray, seeded(0))
    assert degraded[(mask == 1).expand_as(degraded)].unique() == pytest.approx(0.8, abs=0.002)
    dark = only("lines", 12, opacity=1, dark=1, **lines)(gray, seeded(0))
    assert torch.allclose(dark - 0.5, 0.5 - degraded, atol=0.005)
    faint = only("lines", 12, opacity=0.4, **lines).with_mask(gray, seeded(0))[1]
    assert 0.35 < faint.max() <= 0.401
    thin = only("lines", 12, width=1).with_mask(gray, seeded(0))[1]
    assert thin.mean() < 0.5 * mask.mean()


def test_the_order_of_marks_does_not_matter() -> None:
    g = seeded(0)
    place, image = torch.rand(2, 500, generator=g) * 30, torch.randint(0, 2, (500,), generator=g)
    looks = [torch.rand(500, generator=g) * top for top in (3, 1, 1)]
    order = torch.randperm(500, generator=g)
    one, other = torch.zeros(2, 2, 30, 30, dtype=torch.int32)
    _draw_disks(one, _Disks(image, place, *looks))
    _draw_disks(other, _Disks(image[order], place[:, order], *(look[order] for look in looks)))
    assert torch.equal(one, other) and (one > 0).float().mean() > 0.5


def test_overlays_are_read_once_and_can_be_pickled(scans: Path) -> None:
    clean, overlay = torch.full((6, 3, 40, 30), 0.3), ScratchOverlay(str(scans), opacity=0.5)
    first = overlay(clean, seeded(0))
    shutil.rmtree(scans)
    again = pickle.loads(pickle.dumps(overlay))
    assert torch.equal(again(clean, seeded(0)), first)
    assert first.max().item() == pytest.approx(0.3 + 0.5 * 0.7), "white, half opaque"
    assert ((first == 0.3).float().mean((1, 2, 3)) < 1).float().mean() > 0.5, "most crops hold a part of the cross"
    assert (first == 0.3).float().mean() > 0.5, "the noise of a scan's black is no damage"


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "empty", "no images"), (tmp_path / "none", "no such folder")):
        with pytest.raises(UserError, match=message):
            ScratchOverlay(str(folder))(torch.rand(1, 3, 8, 8), seeded(0))


def test_union_with_noise_keeps_the_mask(photo: torch.Tensor) -> None:
    mask = Compose(Scratches(), GaussianNoise(0.1)).with_mask(photo, seeded(0))[1]
    assert torch.equal(mask, Scratches().with_mask(photo, seeded(0))[1])


@pytest.mark.parametrize("wrong", [{"lines": -1}, {"dust": (5, 1)}, {"opacity": 1.1}, {"width": -1}, {"dark": 2}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Scratches(**wrong)
    with pytest.raises(ValueError, match="opacity must be"):
        ScratchOverlay("folder", opacity=2)
