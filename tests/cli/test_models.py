import re
from pathlib import Path

import pytest
import torch
from support import save_model

from gan_restore.cli import main
from gan_restore.images import read, write


@pytest.mark.usefixtures("models_folder")
def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert "this package holds no models; train a network" in capsys.readouterr().out
    save_model()
    assert main(["models"]) == 0
    name, measured, trained = capsys.readouterr().out.splitlines()
    assert name == "scratches: scratched photos"
    assert re.fullmatch(r" +\d+\.\d MB; \+4\.25 dB over inpainting on 68 images of cbsd68 \(all\)", measured)
    assert trained.strip() == "trained on faces (1,500 images)"


def test_a_photo_is_restored_by_a_model(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = save_model()
    write(tmp_path / "scratches" / "a.png", torch.rand(1, 3, 21, 33))
    monkeypatch.chdir(tmp_path)  # the folder of the photos has the name of the model
    assert main(["restore", "scratches", "--model", "scratches", "--out", "out", "--device", "cpu"]) == 0
    with torch.no_grad():
        wanted = generator(read(Path("scratches/a.png")))
    assert (read(Path("out/a.png")) - wanted).abs().max() < 0.503 / 255


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --model NAME, --checkpoint FILE or --enhance auto; the models are scratches"),
        (["--model", "scratches", "--checkpoint", "c"], "give either --model NAME, --checkpoint FILE or"),
        (["--model", "scratch"], "no model 'scratch' (did you mean scratches?); the models are scratches"),
        (["--checkpoint", "scratch"], "no checkpoint at scratch; check the path; the models are scratches"),
    ],
)
@pytest.mark.usefixtures("models_folder")
def test_exactly_one_model_or_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    save_model()
    write(tmp_path / "a.png", torch.rand(1, 3, 21, 33))
    assert main(["restore", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"gan-restore: {message}") and "\n" not in said
    assert not (tmp_path / "out").exists()
