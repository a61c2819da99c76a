from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from support import CARD, save_model, tiny

import gan_restore
from gan_restore.files import UserError
from gan_restore.inference import checkpoints, models

pytestmark = pytest.mark.usefixtures("models_folder")


def test_a_model_is_loaded_by_its_name() -> None:
    saved = save_model()
    image = torch.rand(1, 3, 32, 48)
    generator, recipe, _ = gan_restore.load_generator("scratches")
    assert recipe == tiny("pix2pix") and torch.equal(generator(image), saved(image))
    assert torch.equal(gan_restore.load_restorer("scratches")(image), saved(image))
    assert gan_restore.model_names() == ["scratches"]
    assert gan_restore.load_card("scratches") == CARD


def test_only_the_file_is_in_half_precision() -> None:
    save_model()
    with safe_open(models.model_path("scratches"), "pt") as opened:
        kinds = {opened.get_tensor(name).dtype for name in opened.keys()}  # noqa: SIM118
    assert torch.float16 in kinds and torch.float32 not in kinds
    loaded = checkpoints.load_generator("scratches")[0].state_dict()
    assert {value.dtype for value in loaded.values()} <= {torch.float32, torch.int64}


def test_an_existing_path_comes_before_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model()
    monkeypatch.chdir(tmp_path)
    Path("scratches").mkdir()
    with pytest.raises(
        UserError, match="train first, or give a run folder; the folder hides the model 'scratches'"
    ):
        checkpoints.load_generator("scratches")
    checkpoints.save_generator(Path("scratches") / checkpoints.BEST, tiny().generator(), tiny())
    assert checkpoints.load_generator("scratches")[1] == tiny()
    with pytest.raises(UserError, match="scratches has no card"):
        checkpoints.load_card("scratches")


def test_an_unknown_name_is_answered_by_the_names_there_are() -> None:
    save_model()
    answer = r"the models are scratches \(did you mean scratches\?\)"
    with pytest.raises(UserError, match=rf"no checkpoint at scratch; check the path; {answer}"):
        checkpoints.load_generator("scratch")
    with pytest.raises(
        UserError, match=r"no model 'scratch' \(did you mean scratches\?\); the models are scratches"
    ):
        models.model_path("scratch")


def test_a_package_without_models() -> None:
    assert models.model_names() == []
    with pytest.raises(UserError, match="no model 'x2'; this package holds no models"):
        models.model_path("x2")


def test_the_gain_is_over_the_strongest_classical_method_not_over_an_oracle() -> None:
    (measured,) = CARD["measured"]
    assert models.best_score(measured, "classical")["method"] == "inpainting"
    assert models.gain(measured) == 4.25
