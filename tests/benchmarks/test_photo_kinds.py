from pathlib import Path

import photo_kinds
import pytest
import torch
from support import tiny

from gan_restore.files import UserError, read_json
from gan_restore.images import write
from gan_restore.inference import BEST, save_generator


@pytest.mark.parametrize("kind", photo_kinds.KINDS)
def test_every_kind_is_an_image(kind: str, photo: torch.Tensor) -> None:
    changed = photo_kinds.KINDS[kind](photo)
    assert changed.shape[:2] == photo.shape[:2] and changed.min() >= 0 and changed.max() <= 1
    assert "pixels" not in kind or max(changed.shape[-2:]) == int(kind.split()[0])


def test_the_chroma_shift_is_that_of_the_repaired_pixels_only() -> None:
    clean = torch.full((1, 3, 8, 8), 0.5)
    degraded = clean.clone()
    degraded[..., :4] = 1  # damaged
    pink, gray = clean.clone(), clean.clone()
    pink[:, 0, :, :4] += 10 / 255
    gray[..., :4] += 10 / 255
    assert photo_kinds.chroma_shift(pink, clean, degraded) == pytest.approx(5.28, abs=0.01)
    assert photo_kinds.chroma_shift(gray, clean, degraded) == pytest.approx(0, abs=1e-3)
    assert photo_kinds.chroma_shift(degraded, clean, degraded) == 0


def test_a_model_is_measured_on_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(2):
        write(tmp_path / "cbsd68" / f"{i}.png", torch.rand(1, 3, 50, 64))
    recipe = tiny("pix2pix", damage="print")
    save_generator(tmp_path / BEST, recipe.generator(), recipe)
    monkeypatch.setattr(photo_kinds, "KINDS", {"gray": photo_kinds.KINDS["gray"]})
    photo_kinds.measure(str(tmp_path / BEST), tmp_path, tmp_path / "kinds.json")
    (row,) = read_json(tmp_path / "kinds.json")["kinds"]
    # An untrained network returns its input.
    assert row["kind"] == "gray" and row["input"] == row["restored"] > 10 and row["worse"] == 0
    save_generator(tmp_path / "x2.safetensors", tiny("srgan").generator(), tiny("srgan"))
    with pytest.raises(UserError, match="enlarges"):
        photo_kinds.measure(str(tmp_path / "x2.safetensors"), tmp_path, tmp_path / "x2.json")
