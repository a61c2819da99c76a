import functools

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor

from gan_restore.degradations import JPEG, GaussianNoise, OldPrint, SaltAndPepper, seeded
from gan_restore.images import to_bytes, to_tensor
from gan_restore.inference import advise, load_restorer
from gan_restore.inference.advice import _examined
from gan_restore.photos import Photo

load = functools.cache(load_restorer)


@pytest.fixture(scope="module")
def cat() -> Tensor:
    return to_tensor(data.chelsea())


def chosen(image: Tensor, **kind: object) -> set[str]:
    return {choice.model for choice in advise(Photo.of(image, **kind), load) if choice.use}


def test_an_undamaged_photo_needs_nothing(cat: Tensor) -> None:
    large = F.interpolate(cat, scale_factor=3, mode="bilinear")
    assert chosen(large) == set()
    assert [str(choice).split(":")[0] for choice in advise(Photo.of(large), load)] == [
        "salt-pepper not used",
        "scratches not used",
        "photo not used",
        "x2 not used",
    ], "each model that was considered has its reason"


@pytest.mark.parametrize("kind", [{}, {"gray": True}, {"bits": 16}])
def test_each_damage_is_found_and_no_other(cat: Tensor, kind: dict[str, object]) -> None:
    assert chosen(SaltAndPepper(0.01)(cat, seeded(0)), **kind) == {"salt-pepper", "x4"}
    worn = OldPrint(scratches=4, creases=1, grain=0.0, shadow=0.0)(cat, seeded(0))
    assert chosen(worn, **kind) == {"scratches", "x4"}
    assert chosen(JPEG(30)(cat, seeded(0)), **kind) == {"x4"}


@pytest.mark.parametrize("tone", [(1.0, 1.0, 1.0), (1.0, 0.98, 0.95)])
def test_details_of_gray_and_sepia_photos_are_not_scratches(tone: tuple[float, float, float]) -> None:
    coffee = to_tensor(data.coffee())[..., 112:336, 336:560]
    photo = coffee.mean(1, keepdim=True) * torch.tensor(tone).view(1, 3, 1, 1)
    repair = advise(Photo.of(photo), load)[1]
    assert not repair.use and repair.reason.endswith("look scratched; look at them yourself")
    worn = OldPrint(scratches=4, creases=1, grain=0.0, shadow=0.0)(photo, seeded(0))
    repair = advise(Photo.of(worn), load)[1]
    assert repair.use and repair.reason.endswith("choose the models yourself")


def test_strong_noise_is_removed_and_weak_noise_is_not_enlarged(cat: Tensor) -> None:
    assert chosen(GaussianNoise(10 / 255)(cat, seeded(0))) == {"photo", "x4"}
    noisy = advise(Photo.of(GaussianNoise(4 / 255)(cat, seeded(0))), load)
    assert not any(choice.use for choice in noisy) and "noise of about " in noisy[-1].reason


def test_impulses_are_no_noise_and_clipped_noise_is_no_impulses(cat: Tensor) -> None:
    assert "x4" in chosen(SaltAndPepper(0.02)(cat, seeded(0)))
    assert "x2" in chosen(F.interpolate(cat, scale_factor=2, mode="bilinear"))
    white = (0.9 * torch.ones_like(cat)).clamp(0, 1)
    assert "salt-pepper" not in chosen(GaussianNoise(20 / 255)(white, seeded(0)))


@pytest.mark.parametrize("height, width", [(8, 8), (1, 40), (9, 700)])
def test_photos_of_any_size_and_without_any_detail(height: int, width: int) -> None:
    for value in (0.0, 0.4, 1.0):
        assert "salt-pepper" not in chosen(torch.full((1, 3, height, width), value))


def test_noise_that_is_cut_off_in_black_areas_is_measured_elsewhere(cat: Tensor) -> None:
    framed = F.pad(F.interpolate(cat, scale_factor=2), (100, 100, 100, 100))
    noisy = to_bytes(GaussianNoise(10 / 255)(framed, seeded(0)))
    assert 255 * _examined(noisy)[2] == pytest.approx(10, abs=2)


def test_a_page_of_text_is_as_noisy_as_its_paper() -> None:
    page = torch.full((1, 3, 400, 400), 250 / 255)
    page[..., 50:350:12, 40:360:3] = 0.1
    noise = 255 * _examined(to_bytes(GaussianNoise(1 / 255)(page, seeded(0))))[2]
    assert noise < 2 and _examined(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))[2] == 0


@pytest.mark.parametrize(("impulses", "noise"), [(0.0, 0.0), (0.0005, 0.012), (0.002, 0.006), (0.2, 0.03)])
def test_impulses_and_noise_are_measured(impulses: float, noise: float) -> None:
    ramp = torch.linspace(0.25, 0.75, 600).expand(1, 3, 400, 600)
    damaged = SaltAndPepper(impulses)(GaussianNoise(noise)(ramp, seeded(0)), seeded(1))
    _, found, deviation = _examined(to_bytes(damaged))
    assert found == pytest.approx(impulses, rel=0.25, abs=1e-5)
    assert impulses == 0.2 or 0.6 * noise <= deviation < 1.1 * noise + 0.002
    measured = {choice.model: choice.use for choice in advise(Photo(to_bytes(damaged)), load)}
    assert measured["salt-pepper"] == (impulses > 0.001) and measured["x2"] == (not 0.008 < noise < 0.016)


def test_a_mask_needs_a_result_of_the_same_size(cat: Tensor) -> None:
    choice = advise(Photo.of(cat), load, same_size=True)[-1]
    assert not choice.use and choice.reason == "a mask or preserved pixels need a result of the same size"


def test_strips_change_nothing(cat: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Photo.of(SaltAndPepper(0.01)(F.interpolate(cat, scale_factor=3), seeded(0)))
    whole = advise(photo, load)
    monkeypatch.setattr("gan_restore.strips.STRIP_PIXELS", 2**30)
    assert advise(photo, load) == whole


def test_options_of_the_restorer_do_not_change_what_is_measured(cat: Tensor) -> None:
    photo = Photo.of(OldPrint(scratches=4)(cat, seeded(0)))
    weak = functools.partial(load_restorer, strength=0.01)
    assert advise(photo, weak) == advise(photo, load)
