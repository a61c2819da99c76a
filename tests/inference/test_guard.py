import pytest
import torch
from torch import Tensor

from gan_restore.images import to_bytes
from gan_restore.inference import guard as guards
from gan_restore.inference.guard import guard


def test_a_photo_that_became_brighter_keeps_its_brightness(photo: Tensor) -> None:
    damaged = photo * 0.7 + 0.1
    restored = damaged + 0.05 + 0.05 * torch.linspace(0, 1, 64)
    detail = torch.rand(photo.shape) * 0.02
    for kind in (lambda x: x, to_bytes):
        result = kind(restored + detail)
        told = guard(kind(damaged), result)
        assert len(told) == 1 and "changed by up to 2" in told[0] and "were kept" in told[0]
        result = result if result.is_floating_point() else result / 255
        assert (result - damaged).abs().mean() < 0.01
        assert ((result - damaged) - detail).std() < 0.006, "and its new detail"


def test_repaired_damage_is_no_change_of_large_areas(photo: Tensor) -> None:
    degraded = photo.clone()
    degraded[..., ::5, :] = 1
    restored = photo.clone()
    assert guard(degraded, restored) == [] and torch.equal(restored, photo)


def test_without_keeping_it_is_only_said(photo: Tensor) -> None:
    restored = photo + 0.05
    assert "compare it with the input" in guard(photo, restored, keep=False)[0]
    assert torch.equal(restored, photo + 0.05)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (600, 7), (1025, 40)])
def test_any_size_and_any_enlargement_is_compared(factor: int, size: tuple[int, int]) -> None:
    degraded = torch.rand(1, 1, *size) * 0.5
    restored = degraded.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    unchanged = restored.clone()
    assert guard(degraded, restored) == [] and torch.equal(restored, unchanged)
    brighter = restored + 0.2
    assert len(guard(degraded, brighter)) == 1
    assert torch.allclose(brighter, restored, atol=1e-5)


def test_a_result_far_from_what_the_model_did_in_its_tests_is_told(photo: Tensor) -> None:
    torch.manual_seed(0)
    restored = (photo + 0.05 * torch.randn_like(photo)).clamp(0, 1)
    assert guard(photo, restored.clone(), usual=0.03) == []
    (told,) = guard(photo, restored.clone(), usual=0.01)
    assert "times as much as the model's test images" in told


def test_large_photos_are_corrected_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(1, 3, 60, 50) * 0.5
    results = []
    for pixels in (2**18, 100):
        monkeypatch.setattr("gan_restore.strips.STRIP_PIXELS", pixels)
        results.append(images + torch.linspace(0, 0.3, 50))
        guard(images, results[-1])
    assert torch.allclose(*results, atol=1e-6) and guards._LARGE < 0.1
