import dataclasses
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import filelock
import numpy as np
import pytest
from support import tiny

from gan_restore import training
from gan_restore.data.datasets import Images
from gan_restore.files import UserError, read_json
from gan_restore.images import read, write
from gan_restore.inference.checkpoints import load_state, read_recipe
from gan_restore.inference.devices import Compute
from gan_restore.training.run_folder import fingerprint


def test_a_run_is_not_overwritten_unasked_and_resume_wants_the_same_recipe(tmp_path: Path) -> None:
    recipe, run = tiny(), tmp_path / "run"
    with pytest.raises(UserError, match="nothing to resume"):
        training.train(recipe, run, resume=True)
    training.train(recipe, run)
    with pytest.raises(UserError, match="already holds a run; pass --resume"):
        training.train(recipe, run)
    with pytest.raises(UserError, match="with epochs 2, not 9; learning_rate"):
        training.train(tiny(epochs=9, learning_rate=0.1), run, resume=True)
    before = load_state(run / "last.ckpt")["step"]
    training.train(recipe, run, resume=True)  # a finished run stays as it is
    assert load_state(run / "last.ckpt")["step"] == before
    training.train(recipe, run, overwrite=True)


def test_errors_come_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        training.train(tiny(data=str(tmp_path / "none")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    training.train(tiny(), tmp_path / "good")
    with pytest.raises(UserError, match="no such file or folder"):
        training.train(tiny(data=str(tmp_path / "none")), tmp_path / "good", overwrite=True)
    with pytest.raises(UserError, match="vgg"):
        nowhere = {"perceptual_weight": 1.0, "vgg_weights": str(tmp_path / "vgg.pth")}
        training.train(tiny(**nowhere), tmp_path / "good", overwrite=True)
    assert (tmp_path / "good" / "best.safetensors").exists(), "nor is anything thrown away"
    with pytest.raises(UserError, match="try --device auto"):
        training.train(tiny(), tmp_path / "run", Compute(device="tpu"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        training.train(tiny(), tmp_path / "file" / "run")


def test_a_run_that_is_going_on_is_not_touched(tmp_path: Path) -> None:
    recipe, run = tiny(epochs=1), tmp_path / "run"
    run.mkdir()
    with filelock.FileLock(run / ".lock"), pytest.raises(UserError, match="is being trained by another process"):
        training.train(recipe, run)
    assert [path.name for path in run.iterdir()] == [".lock"]
    training.train(recipe, run)
    with filelock.FileLock(run / ".lock"):
        for option in ("resume", "overwrite"):
            with pytest.raises(UserError, match="is being trained by another process"):
                training.train(recipe, run, **{option: True})


def test_resume_and_overwrite_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose one of them"):
        training.train(tiny(), tmp_path / "run", resume=True, overwrite=True)


def test_a_run_records_what_it_was_computed_with(tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", tiny(epochs=1)
    for options in ({}, {"resume": True}):
        training.train(recipe, run, Compute(device="cpu", precision="bf16-mixed"), **options)
    first, second = read_json(run / "environment.json")
    assert (first["from_step"], second["from_step"]) == (0, 3), "an entry for each start"
    assert first["precision"] == "bf16-mixed" and first["device"].startswith("CPU") and first["devices"] == 1
    assert first["versions"]["torch"] == version("torch") and "commit" in first
    training.train(recipe, run, Compute(device="cpu"), overwrite=True)
    (only,) = read_json(run / "environment.json")
    assert only["precision"] == Compute(device="cpu").for_training().precision, "not auto, which depends on the CPU"


def test_data_that_moved_is_accepted_and_the_run_knows_where_it_is(folder: Path, tmp_path: Path) -> None:
    recipe, run = tiny(data=str(folder), epochs=1), tmp_path / "run"
    training.train(recipe, run)
    moved = folder.rename(tmp_path / "moved")
    training.train(dataclasses.replace(recipe, data=str(moved)), run, resume=True)
    assert read_recipe(run).data == str(moved)


@pytest.mark.parametrize("split", ["train", "val"])
def test_resume_refuses_changed_images_and_accepts_copied_ones(folder: Path, tmp_path: Path, split: str) -> None:
    recipe, run = tiny(data=str(folder), epochs=1), tmp_path / "run"
    training.train(recipe, run)
    photo = next(path for path in sorted(folder.iterdir()) if path.stem in str(recipe.images(split).names))
    saved = shutil.copy(photo, tmp_path / "saved.png")
    write(photo, 1 - read(photo))
    with pytest.raises(UserError, match="have changed since this run started"):
        training.train(recipe, run, resume=True)
    shutil.copy(saved, photo)
    os.utime(photo, (0, 0))
    training.train(recipe, run, resume=True)
    photo.rename(folder / "renamed.png")
    with pytest.raises(UserError, match="have changed since this run started"):
        training.train(recipe, run, resume=True)


def test_the_fingerprint_covers_names_sizes_pixels_and_partners() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (40, 30, 3), dtype=np.uint8), rng.integers(0, 256, (48, 48), dtype=np.uint8)]
    images = Images(arrays, ["a", "b"], "test")
    others = [
        Images(arrays, ["a", "c"], "test"),
        Images(arrays[::-1], ["a", "b"], "test"),
        Images([arrays[0], 255 - arrays[1]], ["a", "b"], "test"),
        Images([arrays[0].reshape(30, 40, 3), arrays[1]], ["a", "b"], "test"),
        Images([arrays[0][:, ::-1], arrays[1]], ["a", "b"], "test"),
        Images(arrays, ["a", "b"], "test", degraded=arrays),
    ]
    assert fingerprint(images) == fingerprint(Images([a.copy() for a in arrays], ["a", "b"], "elsewhere"))
    assert len({fingerprint(other) for other in [images, *others]} | {fingerprint(images, images)}) == 8


def test_weights_alone_are_not_thrown_away(tmp_path: Path) -> None:
    run = training.train(tiny(), tmp_path / "run")
    for name in ("last.ckpt", "previous.ckpt"):
        (run / name).unlink()
    with pytest.raises(UserError, match="already holds a trained generator, but no training state to resume"):
        training.train(tiny(), run)
    assert (run / "best.safetensors").exists()
