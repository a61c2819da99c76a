"""Functions applied to large images in strips."""

import pytest
import torch
import torch.nn.functional as F

from gan_restore import strips


def smoothed(images: torch.Tensor) -> torch.Tensor:
    """The mean of 5 x 5 pixels: each depends on two rows above and below it."""
    return F.avg_pool2d(F.pad(images, [2] * 4, mode="reflect"), 5, stride=1)


@pytest.fixture
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of a few rows."""
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 400)
    monkeypatch.setattr(strips, "STRIP_PIXELS", 200)


@pytest.mark.parametrize(("height", "width"), [(40, 21), (41, 30), (19, 500)])
def test_strips_give_what_the_whole_image_gives(height: int, width: int, small_strips: None) -> None:
    images, taken = torch.rand(2, 3, height, width), []

    def function(strip: torch.Tensor) -> torch.Tensor:
        taken.append(strip.shape[2])
        return smoothed(strip)

    assert torch.allclose(strips.in_strips(function, images, halo=2), smoothed(images), atol=1e-6)
    rows = max(1, 200 // (2 * width))
    assert len(taken) == -(-height // rows) and max(taken) <= rows + 4


def test_strips_start_on_the_grid_of_the_function(small_strips: None) -> None:
    images = torch.arange(40.0)[:, None].expand(1, 1, 40, 21)
    starts = []

    def function(strip: torch.Tensor) -> torch.Tensor:
        starts.append(int(strip[0, 0, 0, 0]))
        return strip

    assert torch.equal(strips.in_strips(function, images, halo=4, multiple=4), images)
    assert starts == [0, 4, 12, 20, 28]
    with pytest.raises(ValueError, match="halo"):
        strips.in_strips(function, images, halo=3, multiple=4)


def test_images_up_to_the_limit_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIP_PIXELS", 1)
    sizes = []
    for pixels in (6 * 20, 6 * 20 - 1):
        monkeypatch.setattr(strips, "WHOLE_PIXELS", pixels)
        strips.in_strips(lambda strip: sizes.append(strip.shape[2]) or strip, torch.rand(1, 3, 6, 20), halo=0)
    assert sizes == [6] + [1] * 6


def test_strips_cover_the_rows() -> None:
    rows = strips.row_strips(1000, 700)
    assert [row for part in rows for row in range(1000)[part]] == list(range(1000))
