import shutil
from pathlib import Path

import nbformat
import pytest
import torch

from gan_restore import course
from gan_restore.course import run_course
from gan_restore.files import UserError, read_json
from gan_restore.images import write as write_image

RESULTS = """
import json
from pathlib import Path
run = Path(out_dir) / recipe
(run / "figures").mkdir(parents=True, exist_ok=True)
row = dict(method="<b>net</b>", kind="learned", data=data_dir or "photos", n_images=1, psnr=40.123,
           ssim=0.99, mse=1e-4, channel="RGB", crop_border=0, range="[0, 1]", damage="d", seed=seed,
           seconds_per_image=0.1, sizes="64 x 64", preparation="images as they are",
           note="epoch chosen on 2 images of 'val'")
(run / "results.json").write_text(json.dumps([row, {**row, "method": "first stage", "psnr": 30.5}]))
(run / "figures" / "06_scores.png").write_bytes(b"")
"""


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one notebook a recipe, instead of the real one."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    monkeypatch.setattr(course, "ONCE", ())
    monkeypatch.setattr(course, "PER_RECIPE", ("06_evaluation",))
    write(folder, RESULTS)
    return folder


def write(folder: Path, source: str) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("recipe = out_dir = data_dir = seed = None")]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, folder / "06_evaluation.ipynb")


def test_the_course_writes_notebooks_a_summary_and_a_page(notebooks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "smoke"
    earlier, own = folder / "unet-denoiser" / "figures" / "06_earlier.png", folder / "unet-denoiser" / "own.png"
    for file in (earlier, own):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    page = run_course("smoke", ["unet-denoiser"], out=tmp_path / "out", seed=7)
    assert page == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "summary.json", "unet-denoiser",
        "06_evaluation-unet-denoiser.ipynb", "06_evaluation-unet-denoiser.html",
    }  # fmt: skip
    summary = read_json(folder / "summary.json")
    assert summary["recipes"]["unet-denoiser"][0]["psnr"] == 40.123
    assert summary["steps"][0]["seconds"] > 0 and summary["versions"]["torch"] and summary["device"]
    text = page.read_text()
    assert "40.12" in text and "unet-denoiser/figures/06_scores.png" in text and "&lt;b&gt;net&lt;/b&gt;" in text
    assert 'href="06_evaluation-unet-denoiser.html"' in text
    assert "<td>first stage<td>learned<td>30.50" in text, "a recipe of two stages has a row for each network"
    assert all(said in text for said in ("64 x 64 pixels", "images as they are", "chosen on 2 images"))
    assert "06_earlier" not in text and not earlier.exists() and own.exists()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "raise RuntimeError('one\\ntwo')",
            r"06_evaluation-unet-denoiser failed in cell \[3\]: RuntimeError: two; see .*\.ipynb$",
        ),
        ("import os; os._exit(1)", "06_evaluation-unet-denoiser: Python died"),
    ],
)
def test_a_failing_notebook_is_named_with_its_cell(
    notebooks: Path, tmp_path: Path, cell: str, message: str
) -> None:
    page = tmp_path / "out" / "smoke" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()  # of an earlier course
    write(notebooks, cell)
    with pytest.raises(UserError, match=message) as caught:
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not page.exists()


def test_a_course_needs_data_and_notebooks(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"download_kaggle\.py get NAME` for each of fer2013-csv, div2k, then"):
        run_course("small", ["unet-denoiser", "srgan"], out=tmp_path / "out")
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path / "nowhere")
    with pytest.raises(UserError, match="run the course from a clone"):
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")


@pytest.fixture
def data_sets(tmp_path: Path, fer_csv: Path) -> Path:
    """A folder with a small fer2013-csv and a small div2k."""
    for part in ("train", "val", "test"):
        write_image(tmp_path / "data" / "div2k" / part / f"{part}.png", torch.rand(1, 3, 70, 64))
    (tmp_path / "data" / "fer2013-csv").mkdir()
    fer_csv.rename(tmp_path / "data" / "fer2013-csv" / "fer2013.csv")
    return tmp_path / "data"


def test_every_recipe_gets_the_data_set_of_its_own(notebooks: Path, data_sets: Path, tmp_path: Path) -> None:
    run_course("smoke", ["unet-denoiser", "srgan"], data=data_sets, out=tmp_path / "out")
    summary = read_json(tmp_path / "out" / "smoke" / "summary.json")
    used = {name: Path(rows[0]["data"]).name for name, rows in summary["recipes"].items()}
    assert used == {"unet-denoiser": "fer2013-csv", "srgan": "div2k"}


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
