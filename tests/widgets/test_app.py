from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from support import save_model, tiny

from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.files import UserError
from gan_restore.images import write
from gan_restore.inference import load_restorer, read_photo, restore_photo
from gan_restore.photos import Photo
from gan_restore.widgets import RestoreApp


def noisy() -> torch.Tensor:
    return SaltAndPepper(0.1)(torch.rand(1, 3, 40, 50), seeded(0))


@pytest.fixture
def app(models_folder: Path) -> RestoreApp:
    save_model("better", tiny())
    return RestoreApp(model="better")


def test_a_photo_is_restored_as_by_the_library_and_saved(app: RestoreApp, tmp_path: Path) -> None:
    write(tmp_path / "old.png", noisy())
    app.load(tmp_path / "old.png")
    restored = restore_photo(read_photo(tmp_path / "old.png"), load_restorer("better"))
    assert torch.equal(app.restore().pixels, restored.pixels)
    app.save(tmp_path / "new.png")
    assert torch.equal(read_photo(tmp_path / "new.png").pixels, restored.pixels)
    app.strength.value = 0.0
    assert torch.equal(app.restore().pixels, app.photo.pixels)


def test_only_what_is_painted_changes(app: RestoreApp) -> None:
    app.load(Photo.of(noisy()))
    everywhere = app.restore()
    mask = torch.zeros(1, 1, 40, 50, dtype=torch.bool)
    mask[..., 10:20, 10:30] = True
    app.brush.mask = mask
    assert torch.equal(app.restore().pixels, torch.where(mask, everywhere.pixels, app.photo.pixels))
    assert not torch.equal(everywhere.pixels, app.photo.pixels)
    app.brush.mask = torch.zeros_like(mask)  # the paint is erased
    assert torch.equal(app.restore().pixels, everywhere.pixels)


def test_buttons_restore_save_and_show_errors(
    app: RestoreApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.start.disabled and app.keep.disabled
    write(tmp_path / "old.png", noisy())
    content = (tmp_path / "old.png").read_bytes()

    def choose(name: str, content: bytes) -> None:
        about = {"type": "image/png", "size": len(content), "last_modified": datetime.now(UTC)}
        app.upload.value = (about | {"name": name, "content": memoryview(content)},)

    choose("bad.png", content[:60])
    assert "cannot read the image bad.png" in app.message.value and app.photo is None
    choose("old.png", content)
    assert not app.message.value and not app.start.disabled
    app.start.click()
    assert "old.png" in app._wipe.value and not app.keep.disabled
    app.keep.click()
    assert (tmp_path / "restored" / "old.png").exists() and "saved as" in app.message.value
    app.keep.click()
    assert (tmp_path / "restored" / "old-2.png").exists(), "nothing is overwritten"
    assert "image/png" in app._repr_mimebundle_()


def test_an_old_result_is_not_shown_after_an_error_and_auto_keeps_the_size_of_a_painted_photo(
    app: RestoreApp,
) -> None:
    save_model("x4", tiny("srgan"))
    app.load(Photo.of(noisy()))
    app.restore()
    app.model.options = ["auto", "x4"]
    app.model.value = "x4"
    app.brush.mask = torch.ones(1, 1, 40, 50, dtype=torch.bool)
    app.start.click()
    assert "an enlargement has none of them" in app.message.value
    assert app.restored is None and not app._wipe.value and app.keep.disabled
    app.model.value = "auto"
    assert torch.equal(app.restore().pixels, app.photo.pixels)
    assert "x4 not used: a mask or preserved pixels need a result of the same size" in app.message.value


def test_models_are_chosen_by_measurement_and_said(tmp_path: Path) -> None:
    app = RestoreApp()
    app.load(Photo.of(torch.full((1, 3, 30, 40), 0.5)))
    app.restore()
    assert "scratches not used: 0.00% of the pixels look scratched" in app.message.value


def test_mistakes_are_named(app: RestoreApp) -> None:
    with pytest.raises(UserError, match="choose a photo first"):
        app.restore()
    with pytest.raises(UserError, match="nothing is restored yet"):
        app.save("a.png")
    with pytest.raises(UserError, match="no model 'beter'"):
        RestoreApp(model="beter")
