import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_restore.inference import read_mask
from gan_restore.widgets import MaskBrush


@pytest.mark.parametrize("height, width", [(48, 64), (1500, 2100)])
def test_a_mask_is_painted_and_read_again(height: int, width: int, tmp_path: Path) -> None:
    brush = MaskBrush(torch.rand(1, 3, height, width))
    assert not brush.mask.any() and brush.mask.shape == (1, 1, height, width)
    mask = torch.zeros(1, 1, height, width, dtype=torch.bool)
    mask[..., : height // 2, : width // 4] = True
    brush.mask = mask
    assert (brush.mask != mask).float().mean() < 0.002, "of a large photo, a smaller copy is painted"
    brush.save(tmp_path / "mask.png")
    assert torch.equal(read_mask(tmp_path / "mask.png"), brush.mask)
    assert torch.equal(brush.mask, mask) or max(height, width) > 1024
    with pytest.raises(ValueError, match=f"1 x 1 x {height} x {width}, not 1 x 1 x 3 x 3"):
        brush.mask = torch.zeros(1, 1, 3, 3, dtype=torch.bool)


def test_thin_lines_of_a_mask_stay_in_the_smaller_copy() -> None:
    brush, mask = MaskBrush(torch.rand(1, 3, 1500, 2100)), torch.zeros(1, 1, 1500, 2100, dtype=torch.bool)
    mask[..., 701, :] = True
    brush.mask = mask
    assert (brush.mask & mask).sum() == mask.sum()


def test_the_paint_of_the_browser_counts_where_it_covers() -> None:
    brush = MaskBrush(torch.rand(3, 20, 30))
    paint = Image.new("RGBA", (30, 20))
    paint.putpixel((4, 7), (255, 0, 0, 255))
    paint.putpixel((5, 7), (255, 0, 0, 40))  # the soft edge of a stroke
    file = io.BytesIO()
    paint.save(file, "PNG")
    brush.painted = file.getvalue()
    assert brush.mask.nonzero().tolist() == [[0, 0, 7, 4]]


def test_the_static_picture_shows_the_paint() -> None:
    brush = MaskBrush(torch.zeros(1, 3, 20, 30))
    clean = brush._repr_mimebundle_()[0]["image/png"]
    brush.mask = torch.ones(1, 1, 20, 30, dtype=torch.bool)
    assert brush._repr_mimebundle_()[0]["image/png"] != clean
