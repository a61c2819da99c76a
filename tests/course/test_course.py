from pathlib import Path
from typing import Any

import pytest
from support import write_notebook

from gan_restore import course
from gan_restore.cli import main
from gan_restore.course import plan, run_course
from gan_restore.files import UserError, read_json

RESULTS = """
import json
from pathlib import Path
run = Path(out_dir) / recipe
(run / "figures").mkdir(parents=True, exist_ok=True)
row = dict(method="net", kind="learned", data=data_dir or "photos", n_images=1, psnr=40.123,
           ssim=0.99, mse=1e-4, channel="RGB", crop_border=0, range="[0, 1]", damage="d", seed=seed,
           seconds_per_image=0.1, sizes="64 x 64", preparation="images as they are",
           note="epoch chosen on 2 images of 'val'")
(run / "results.json").write_text(json.dumps([row, {**row, "method": "first stage", "psnr": 30.5}]))
(run / "figures" / "06_scores.png").write_bytes(b"")
(run / "metrics.csv").write_text("step,seconds\\n1,2.5\\n2,4.5\\n")
"""


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one notebook a recipe, instead of the real one."""
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(plan, "ONCE", ())
    monkeypatch.setattr(plan, "PER_RECIPE", ("06_evaluation",))
    monkeypatch.setattr(course, "PACKAGES", ())
    monkeypatch.setattr(course, "build_site", lambda folder: folder / "site")
    write(tmp_path / "notebooks", RESULTS)
    return tmp_path / "notebooks"


def write(folder: Path, source: str) -> None:
    parameters = "\n".join(f"{name} = None" for name in ("recipe", "out_dir", "data_dir", "seed"))
    write_notebook(folder / "06_evaluation.ipynb", source, parameters=parameters)


def test_the_course_writes_notebooks_and_a_summary_and_builds_the_site(notebooks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "smoke"
    run = folder / "unet-denoiser"
    earlier, own = [run / "figures" / "06_earlier.png", run / "last.ckpt", run / "recipe.json"], run / "own.png"
    for file in (*earlier, own):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert run_course("smoke", ["unet-denoiser"], out=tmp_path / "out", seed=7) == folder / "site"
    assert {path.name for path in folder.iterdir()} == {
        "summary.json", "unet-denoiser", "06_evaluation-unet-denoiser.ipynb",
    }  # fmt: skip
    summary: Any = read_json(folder / "summary.json")
    assert summary["recipes"]["unet-denoiser"][0]["psnr"] == 40.123
    assert summary["training_seconds"] == {"unet-denoiser": 4.5} and summary["seconds"] > 0 and summary["jobs"] == 1
    assert summary["steps"][0]["seconds"] > 0 and summary["versions"]["torch"] and summary["device"]
    assert not any(file.exists() for file in earlier) and own.exists()


def test_failures_are_listed_and_the_other_recipes_go_on(
    notebooks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out" / "smoke"
    (folder / "site").mkdir(parents=True)  # of an earlier course
    write(notebooks, f"assert recipe != 'srgan', 'no'\n{RESULTS}")
    arguments = ["course", "--recipes", "srgan", "unet-denoiser", "--jobs", "2", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "gan-restore: 1 of 2 notebooks did not succeed:",
        f"  06_evaluation-srgan: failed in cell [3]: AssertionError: no; see {folder}/06_evaluation-srgan.ipynb",
    ]
    assert (folder / "unet-denoiser" / "results.json").exists() and (folder / "06_evaluation-srgan.ipynb").exists()
    assert not (folder / "site").exists() and not (folder / "summary.json").exists()


def test_a_course_needs_data_and_notebooks(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"download_kaggle\.py get NAME` for each of fer2013-csv, div2k, then"):
        run_course("small", ["unet-denoiser", "srgan"], out=tmp_path / "out")
    with pytest.raises(UserError, match="jobs must be at least 1, not 0"):
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out", jobs=0)
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path / "nowhere")
    with pytest.raises(UserError, match="run the course from a clone"):
        run_course("smoke", ["unet-denoiser"], out=tmp_path / "out")
