"""The monitor without a browser: what it shows, and what its controls do."""

import asyncio
import base64
import io
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from support import tiny, write_notebook

from gan_restore import training, widgets
from gan_restore.course.runner import execute
from gan_restore.files import UserError, read_csv
from gan_restore.inference.checkpoints import load_state
from gan_restore.training import Trainer, Watcher

CHANGES = {"width": 4, "discriminator_width": 4, "levels": 3, "image_size": 32, "batch_size": 4, "epochs": 1}


class Reader(Watcher):
    """A reader who sets the monitor's controls after some steps: step -> (control, value)."""

    def __init__(self, monitor: widgets.RunMonitor, actions: dict[int, tuple[str, object]]) -> None:
        self.monitor, self.actions = monitor, actions

    def after_step(self, trainer: Trainer) -> bool:
        if trainer.step in self.actions:
            control, value = self.actions[trainer.step]
            getattr(self.monitor, control).value = value
        return False


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_the_static_picture_has_the_curves_and_the_images(tmp_path: Path) -> None:
    monitor = widgets.RunMonitor()
    before = monitor._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in before and "image/png" not in before
    training.train(tiny(epochs=1), tmp_path / "run", watchers=[monitor])
    curves, images = size(monitor.curves.value), size(monitor.images.value)
    sheet = size(base64.b64decode(monitor._repr_mimebundle_()["image/png"]))
    assert sheet[0] >= max(curves[0], images[0]) and sheet[1] >= max(curves[1], images[1])


def test_stop_saves_and_the_run_is_resumed_with_its_learning_rate(tmp_path: Path) -> None:
    recipe, monitor = tiny(lr_decay="none"), widgets.RunMonitor()
    reader = Reader(monitor, {2: ("rate", 0.1), 4: ("stop", True)})
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, tmp_path / "run", watchers=[reader, monitor])
    assert load_state(tmp_path / "run" / "last.ckpt")["step"] == 4
    monitor = widgets.RunMonitor()
    monitor.train(recipe, tmp_path / "run", resume=True)
    run = monitor.wait()
    assert monitor.rate.value == pytest.approx(0.1), "the slider shows the factor of the saved run"
    rows = read_csv(run / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    first = rows[0]["lr"]
    assert [row["lr"] for row in rows] == pytest.approx([first] * 2 + [0.1 * first] * 4)


def test_a_paused_run_waits_for_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor, waits = widgets.RunMonitor(), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        monitor.pause.value = len(waits) < 3

    monkeypatch.setattr(widgets.monitor.time, "sleep", sleep)
    reader = Reader(monitor, {2: ("pause", True)})
    training.train(tiny(), tmp_path / "run", watchers=[reader, monitor])
    assert len(waits) == 3


def test_a_notebook_without_a_browser_holds_the_last_picture_once(tmp_path: Path) -> None:
    source = f"""
from gan_restore import recipes, widgets
recipe = recipes.get("pix2pix", "smoke", **{CHANGES})
monitor = widgets.RunMonitor()
monitor.train(recipe, "{tmp_path}/run")"""
    notebook = write_notebook(tmp_path / "monitor.ipynb", source, "print(monitor.wait())", parameters="")
    asyncio.run(execute(notebook, tmp_path / "done.ipynb", {}))
    started, waited = nbformat.read(tmp_path / "done.ipynb", as_version=4).cells[-2:]
    assert waited.outputs[0].text == f"{tmp_path}/run\n"
    outputs = started.outputs
    shown = [output.data for output in outputs if output.output_type == "display_data"]
    (picture,) = [data["image/png"] for data in shown if "image/png" in data]
    assert size(base64.b64decode(picture))[1] > 200 + 400, "the curves, and below them two validation images"


def test_wait_raises_what_stopped_the_run(tmp_path: Path) -> None:
    monitor = widgets.RunMonitor()
    with pytest.raises(UserError, match="nothing to wait for"):
        monitor.wait()
    monitor.train(tiny(data="nowhere"), tmp_path / "run")
    with pytest.raises(UserError, match="nowhere"):
        monitor.wait()
    assert "nowhere" in monitor.status.value

    reader = Reader(monitor, {2: ("stop", True)})
    monitor.train(tiny(), tmp_path / "run", watchers=[reader, monitor])
    with pytest.raises(KeyboardInterrupt):
        monitor.wait()
    assert monitor.status.value.startswith("step 2 of 6, ")
    assert monitor.status.value.endswith("minutes left, stopped and saved")


def test_a_monitor_has_one_run_at_a_time(tmp_path: Path) -> None:
    monitor = widgets.RunMonitor()
    reader = Reader(monitor, {1: ("pause", True)})
    monitor.train(tiny(), tmp_path / "run", watchers=[reader, monitor])
    with pytest.raises(UserError, match="has not ended"):
        monitor.train(tiny(), tmp_path / "other")
    monitor.stop.value = True
    with pytest.raises(KeyboardInterrupt):
        monitor.wait()
