import importlib.util
import sys
from pathlib import Path

import pytest
from support import tiny

from gan_restore import training
from gan_restore.cli import main
from gan_restore.files import read_csv
from gan_restore.training import TensorBoard, Trainer, Watcher

installed = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs TensorBoard")


class Stop(Watcher):
    def after_step(self, trainer: Trainer) -> bool:
        return trainer.step == 5


def events(run: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(run / "tensorboard")).Reload()


@installed
def test_the_event_file_holds_the_rows_and_the_images(tmp_path: Path) -> None:
    run = training.train(tiny("pix2pix"), tmp_path / "run", watchers=[TensorBoard()])
    written, rows = events(run), read_csv(run / "metrics.csv")
    assert set(written.Tags()["scalars"]) == set().union(*rows) - {"step"}
    for name in ("g_loss", "val_psnr"):
        expected = [(row["step"], row[name]) for row in rows if name in row]
        assert [(event.step, event.value) for event in written.Scalars(name)] == [
            (step, pytest.approx(value, rel=1e-6)) for step, value in expected
        ]
    tags = written.Tags()["images"]
    assert len(tags) == 2 and all(tag.startswith("validation/") for tag in tags)
    shown = written.Images(tags[0])
    epochs = [row["step"] for row in rows if "val_psnr" in row]
    assert [image.step for image in shown] == epochs
    assert (shown[0].width, shown[0].height) == (4 * 128, 128), "degraded, restored, clean and the map"


@installed
def test_resumed_and_started_again_runs_have_no_step_twice(tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", tiny()
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, run, watchers=[TensorBoard(), Stop()])
    training.train(recipe, run, resume=True, watchers=[TensorBoard()])
    assert [event.step for event in events(run).Scalars("g_loss")] == [1, 2, 3, 4, 5, 6]
    training.train(recipe, run, overwrite=True, watchers=[TensorBoard()])
    assert [event.step for event in events(run).Scalars("g_loss")] == [1, 2, 3, 4, 5, 6]


def test_a_missing_package_is_named_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["train", "unet-denoiser", "--tensorboard", "--out", str(tmp_path / "run")]) == 2
    assert "pip install '.[tensorboard]' in the folder of gan-restore" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
