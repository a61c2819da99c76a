from pathlib import Path

import nbformat
import pytest

from gan_restore import course
from gan_restore.course import run_course
from gan_restore.files import UserError, read_json

RESULTS = """
import json
from pathlib import Path
run = Path(out_dir) / recipe
(run / "figures").mkdir(parents=True, exist_ok=True)
row = dict(method="<b>net</b>", kind="learned", data="x", n_images=1, psnr=40.123, ssim=0.99, mse=1e-4,
           channel="RGB", crop_border=0, range="[0, 1]", damage="d", seed=seed, seconds_per_image=0.1)
(run / "results.json").write_text(json.dumps([row]))
(run / "figures" / "a.png").write_bytes(b"")
"""


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one notebook a recipe, instead of the real one."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    monkeypatch.setattr(course, "ONCE", ())
    monkeypatch.setattr(course, "PER_RECIPE", ("05_evaluation",))
    write(folder, RESULTS)
    return folder


def write(folder: Path, source: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("recipe = out_dir = seed = None")])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, folder / "05_evaluation.ipynb")


def test_the_run_folder_is_the_contract(notebooks: Path, tmp_path: Path) -> None:
    page = run_course("smoke", ["unet-denoiser"], out=tmp_path / "out", seed=7)
    folder = tmp_path / "out" / "smoke"
    assert page == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "summary.json", "unet-denoiser",
        "05_evaluation-unet-denoiser.ipynb", "05_evaluation-unet-denoiser.html",
    }  # fmt: skip
    summary = read_json(folder / "summary.json")
    assert summary["recipes"]["unet-denoiser"][0]["psnr"] == 40.123
    assert summary["steps"][0]["seconds"] > 0 and summary["versions"]["torch"] and summary["device"]
    text = page.read_text()
    assert "40.12" in text and "unet-denoiser/figures/a.png" in text and "&lt;b&gt;net&lt;/b&gt;" in text
    assert 'href="05_evaluation-unet-denoiser.html"' in text


def test_a_notebook_that_fails_is_named_and_an_old_page_does_not_stay(notebooks: Path, tmp_path: Path) -> None:
    run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")
    write(notebooks, "1 / 0")
    with pytest.raises(UserError, match=r"05_evaluation\.ipynb failed: ZeroDivisionError: division by zero; see"):
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")
    assert not (tmp_path / "out" / "smoke" / "index.html").exists()


def test_no_notebooks_no_data(notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"download_kaggle\.py get fer2013-csv"):
        run_course("small", ["unet-denoiser"], out=tmp_path / "out")
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path / "nowhere")
    with pytest.raises(UserError, match="run the course from a clone"):
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")
