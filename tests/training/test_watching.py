"""Watchers: what they see, and how they steer a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from support import same_weights, tiny

from gan_restore import training
from gan_restore.files import read_csv
from gan_restore.inference.checkpoints import load_state
from gan_restore.training import Trainer, View, Watcher, trainer


class Recorder(Watcher):
    """Keeps what it is shown; stops after step `last` and from step `slow` on divides the learning rates by ten."""

    def __init__(self, last: int = 0, slow: int = 99) -> None:
        self.last, self.slow = last, slow
        self.rows: list[int] = []
        self.views: list[Sequence[View]] = []

    def after_step(self, trainer: Trainer) -> bool:
        trainer.rate_factor = 0.1 if trainer.step >= self.slow else trainer.rate_factor
        return trainer.step == self.last

    def after_row(self, trainer: Trainer, views: Sequence[View]) -> None:
        self.rows.append(trainer.log.rows[-1]["step"])
        self.views += [views] if views else []


@pytest.mark.parametrize("name", ["pix2pix", "srgan"])
def test_a_watcher_sees_every_row_and_the_networks_after_each_epoch(tmp_path: Path, name: str) -> None:
    recorder, recipe = Recorder(), tiny(name)
    run = training.train(recipe, tmp_path / "run", watchers=[recorder])
    rows = read_csv(run / "metrics.csv")
    assert recorder.rows == [row["step"] for row in rows]
    assert len(recorder.views) == recipe.epochs
    for view in recorder.views[-1]:
        images = view.images()
        assert list(images) == ["degraded", "restored", "clean", "D(restored)"]
        assert all(image.shape == (1, 3, 128, 128) for image in images.values())
        assert view.verdict.min() >= 0 and view.verdict.max() <= 1
    before, after = (views[0].restored for views in recorder.views[:2])
    assert not torch.equal(before, after)


def test_without_a_discriminator_there_is_no_verdict(tmp_path: Path) -> None:
    recorder = Recorder()
    training.train(tiny(epochs=1, adversarial_weight=0.0), tmp_path / "run", watchers=[recorder])
    assert set(recorder.views[0][0].images()) == {"degraded", "restored", "clean"}


def test_a_run_that_a_watcher_stopped_is_resumed_as_if_it_had_not_been(tmp_path: Path) -> None:
    recipe = tiny(dropout=0.2, norm="batch", ema=0.9, crops_per_image=8)  # a row every second step
    whole = training.train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, tmp_path / "run", watchers=[Recorder(last=3)])
    assert load_state(tmp_path / "run" / "last.ckpt")["step"] == 3
    run = training.train(recipe, tmp_path / "run", resume=True, watchers=[Recorder()])
    assert same_weights(whole / "best.safetensors", run / "best.safetensors")
    losses, expected = ([row["g_loss"] for row in read_csv(x / "metrics.csv")] for x in (run, whole))
    assert losses == expected


def test_a_changed_learning_rate_is_logged_and_kept(tmp_path: Path) -> None:
    recipe = tiny(lr_decay="none", learning_rate=1e-3)
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, tmp_path / "run", watchers=[Recorder(last=4, slow=2)])
    run = training.train(recipe, tmp_path / "run", resume=True)
    rates = [row["lr"] for row in read_csv(run / "metrics.csv")]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-4])


def test_a_pause_is_no_training_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: clock[0])

    class Pause(Watcher):
        def after_step(self, trainer: Trainer) -> bool:
            clock[0] += 1000
            return False

    run = training.train(tiny(), tmp_path / "run", watchers=[Pause()])
    assert read_csv(run / "metrics.csv")[-1]["seconds"] == 0


def test_a_watcher_is_around_a_run_that_fails_too(tmp_path: Path) -> None:
    events = []

    class Around(Watcher):
        @contextmanager
        def watching(self, trainer: Trainer) -> Iterator[None]:
            events.append("begin")
            try:
                yield
            finally:
                events.append("end")

        def after_step(self, trainer: Trainer) -> bool:
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        training.train(tiny(), tmp_path / "run", watchers=[Around()])
    assert events == ["begin", "end"]
