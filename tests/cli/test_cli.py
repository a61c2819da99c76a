import json
import shutil
from pathlib import Path

import pytest
import torch

from gan_restore.cli import main
from gan_restore.images import read, write
from gan_restore.training import Validation

TRAIN = [
    "train",
    "unet-denoiser",
    "--width",
    "4",
    "--depth",
    "2",
    "--discriminator-width",
    "4",
    "--image-size",
    "32",
]
TRAIN += ["--crops-per-image", "1", "--epochs", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    assert main([*TRAIN, "--out", str(out)]) == 0
    return out


def test_recipes_are_listed(capsys) -> None:
    assert main(["recipes"]) == 0
    assert "unet-denoiser" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    ["recipes", "train unet-denoiser", "evaluate", "models", "restore", "export", "course", "site", "cache"],
)
def test_help_shows_an_example(command: str, capsys) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert f"Example: gan-restore {command}" in " ".join(capsys.readouterr().out.split())


def test_help_of_all_and_of_train(capsys) -> None:
    assert main([]) == main(["--help"]) == main(["train", "--help"]) == 0
    assert "gan-restore restore PHOTO" in capsys.readouterr().out


def test_defaults_follow_the_scale(capsys) -> None:
    for scale, epochs in (("smoke", 3), ("full", 5)):
        assert main(["train", "unet-denoiser", f"--scale={scale}", "--help"]) == 0
        text = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert f"draws `crops_per_image` crops from every image. (default: {epochs})" in text


def test_train_reports_what_each_checkpoint_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([{"val_psnr": psnr, "val_ssim": 0.5} for psnr in (14.0, 15.0, 20.06, 14.19)])
    monkeypatch.setattr(Validation, "scores", lambda *_: next(scores))
    small = [
        "--start-from",
        "None",
        "--blocks",
        "1",
        *TRAIN[2:4],
        *TRAIN[6:-4],
        "--device",
        "cpu",
        "--batch-size",
        "4",
    ]
    stages = ["--epochs", "4", "--pretrain-epochs", "2"]
    assert main(["train", "srgan", *small, *stages, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "pretrained.safetensors: best generator of the pixel loss stage, step 6 of 12, 15.00 dB" in said
    assert "best.safetensors: latest generator of the adversarial stage, step 12 of 12, 14.19 dB" in said


def test_a_run_is_evaluated_and_resumed(run: Path, capsys) -> None:
    assert (run / "figures" / "curves.png").exists()
    out = run.parent / "results.json"
    assert main(["evaluate", str(run), "--limit", "1", "--out", str(out), "--device", "cpu"]) == 0
    assert "biharmonic" in capsys.readouterr().out
    assert {row["kind"] for row in json.loads(out.read_text())} == {"input", "classical", "learned"}
    assert main([*TRAIN, "--out", str(run), "--resume"]) == 0


def test_photos_are_restored(run: Path, tmp_path: Path, capsys) -> None:
    for name in ("a.png", "b.jpg"):
        write(tmp_path / name, torch.rand(1, 3, 21, 33))
    photos = [str(tmp_path / name) for name in ("a.png", "b.jpg")]
    command = ["restore", *photos, "--checkpoint", str(run / "best.safetensors"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert read(tmp_path / "out" / "a.png").shape == (1, 3, 21, 33)
    assert "restored 2 photos" in capsys.readouterr().out


def test_a_photo_that_cannot_be_read_does_not_lose_the_others(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.png").write_bytes(b"no image")
    write(tmp_path / "album" / "b.png", torch.rand(1, 3, 21, 33))
    command = ["restore", str(tmp_path / "album"), "--checkpoint", str(run), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    told = capsys.readouterr()
    assert "restored 1 photo into" in told.out and "left out 1 of 2" in told.err and "a.png" in told.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_a_folder_of_photos_can_be_trained_on(folder: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "set" / split).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:6]:
            shutil.copy(path, tmp_path / "set" / split / f"{split}_{path.name}")
    assert main([*TRAIN, "--data", str(tmp_path / "set"), "--out", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["fly"], "no command 'fly'; choose one of"),
        (["evalute", "run"], "no command 'evalute' (did you mean evaluate?); choose one of"),
        (["train", "pix2pixx"], "no recipe 'pix2pixx' (did you mean pix2pix?); choose one of"),
        (["train"], "no recipe named"),
        (["train", "unet"], "no recipe 'unet'"),
        (
            ["train", "unet-denoiser", "--norm", "bacth"],
            "--norm cannot be 'bacth' (did you mean batch?); choose one",
        ),
        (["train", "unet-denoiser", "--widht", "3"], "no option --widht (did you mean --width?)"),
        (["train", "unet-denoiser", "--width", "x"], "--width: a whole number is needed"),
        (["train", "unet-denoiser", "--scale", "huge"], "'huge'"),
        (["train", "unet-denoiser", "--scale", "small"], "download_kaggle.py get fer2013-csv"),
        (["train", "unet-denoiser", "--data", "/nowhere", "--out", "OUT"], "no such file or folder: /nowhere"),
        (["train", "unet-denoiser", "--device", "cuda", "--out", "OUT"], "no GPU was found"),
        (["train", "unet-denoiser", "--resume", "--out", "OUT"], "nothing to resume"),
        (["train", "unet-denoiser", "--batch-size", "0", "--out", "OUT"], "batch_size"),
        (["train", "unet-denoiser", "--density", "2", "--out", "OUT"], "density"),
        (["train", "resnet-gan", "--noise-sigma", "nan", "--out", "OUT"], "noise_sigma must be from 0 to 1"),
        (["train", "unet-denoiser", "--seed", "-1", "--out", "OUT"], "seed must be from 0 to"),
        (["train", "unet-denoiser", "--learning-rate", "nan", "--out", "OUT"], "learning_rate must be from"),
        (["train", "unet-denoiser", "--devices", "0", "--out", "OUT"], "at least 1"),
        (["evaluate", "RUN", "--devices", "2"], "no option --devices (did you mean --device?)"),
        (["restore", "x.png", "--workers", "2", "--out", "OUT"], "no option --workers"),
        (["evaluate", "RUN", "--limit", "-1"], "limit must be at least 0"),
        (["course", "--device", "gpu", "--out", "OUT"], "'gpu'"),
        (["course", "--recipes"], "no recipes named"),
        (["evaluate", "/nowhere"], "no checkpoint at /nowhere"),
        (["evaluate"], "missing run"),
        (["restore", "/nowhere.png", "--checkpoint", "RUN", "--out", "OUT"], "no such file: /nowhere.png"),
        (["restore", "--checkpoint", "RUN", "--out", "OUT"], "no photos given"),
        (["restore", "a/x.png", "b/x.png", "--checkpoint", "RUN", "--out", "OUT"], "would both become"),
        (["restore", "x.png", "--checkpoint", "RUN", "--out", "."], "would be overwritten|no such file"),
        (["course", "--scale", "small"], "download_kaggle.py get NAME` for each of fer2013-csv"),
        (["course", "--recipes", "unet"], "no recipe 'unet'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_code_2(run: Path, tmp_path: Path, capsys, args: list[str], message: str) -> None:
    if "cuda" in args and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    out = tmp_path / "out"
    assert main([{"OUT": str(out), "RUN": str(run)}.get(arg, arg) for arg in args]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("gan-restore: ") and "\n" not in said
    assert any(part in said for part in message.split("|")), said
    assert not out.exists(), "nothing half written"
