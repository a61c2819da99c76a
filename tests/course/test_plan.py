import shutil
from pathlib import Path

import pytest
import torch

from gan_restore import recipes
from gan_restore.course import plan, run_course
from gan_restore.course.plan import needed_by
from gan_restore.files import UserError
from gan_restore.images import write as write_image


def test_what_trains_comes_first_and_06_needs_05() -> None:
    steps = plan.plan(["pix2pix", "srgan"])
    names = ["05_training", "06_evaluation-pix2pix", "06_evaluation-srgan", "00_start_here", "01_data"]
    assert [step.name for step in steps][:5] == names and len(steps) == len(plan.ONCE) + 2
    assert [needed_by(step, steps) for step in steps[:4]] == [[], [], [steps[0]], []]


@pytest.fixture
def data_sets(tmp_path: Path, fer_csv: Path) -> Path:
    """A folder with a small fer2013-csv and a small div2k."""
    for part in ("train", "val", "test"):
        write_image(tmp_path / "data" / "div2k" / part / f"{part}.png", torch.rand(1, 3, 70, 64))
    (tmp_path / "data" / "fer2013-csv").mkdir()
    fer_csv.rename(tmp_path / "data" / "fer2013-csv" / "fer2013.csv")
    return tmp_path / "data"


def test_every_recipe_gets_the_data_set_of_its_own(data_sets: Path) -> None:
    chosen = [recipes.get(name) for name in ("unet-denoiser", "srgan")]
    used = plan.data_sets(chosen, data_sets)
    assert used == {"unet-denoiser": str(data_sets / "fer2013-csv"), "srgan": str(data_sets / "div2k")}
    assert plan.data_sets(chosen, None) == {"unet-denoiser": None, "srgan": None}


def test_data_that_does_not_fit_is_refused_before_anything_runs(data_sets: Path, tmp_path: Path) -> None:
    def refused(message: str, names: list[str], folder: Path = data_sets) -> None:
        with pytest.raises(UserError, match=message):
            run_course("smoke", names, data=folder, out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("data holds no humanface8000 for pix2pix; run .* or name other recipes", ["srgan", "pix2pix"])
    refused("div2k is one data set; .*--data .*data$", ["srgan"], data_sets / "div2k")
    refused("no folder", ["srgan"], data_sets / "nowhere")
    shutil.rmtree(data_sets / "div2k")
    (data_sets / "fer2013-csv").rename(data_sets / "div2k")  # faces under the name of photos
    refused("srgan cannot use .*div2k: .*48 x 48 pixels", ["srgan"])
