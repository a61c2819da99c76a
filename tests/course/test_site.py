import base64
import io
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from gan_restore.course import plan
from gan_restore.course.site import build_site
from gan_restore.files import UserError

SETTINGS = Path(__file__).parents[2] / "docs" / "site"
SCORES = {"data": "photos (test)", "n_images": 3}
SUMMARY = {
    "scale": "smoke",
    "seed": 0,
    "device": "CPU, 2 threads",
    "jobs": 2,
    "seconds": 130.0,
    "versions": {"torch": "2.11"},
    "steps": [{"step": "00_start", "recipe": None}, {"step": "06_evaluation-srgan", "recipe": "srgan"}],
    "recipes": {
        "srgan": [
            {"method": "bicubic", "kind": "input", "psnr": 30.0, **SCORES},
            {"method": "Lanczos", "kind": "classical", "psnr": 31.0, **SCORES},
            {"method": "back-projection", "kind": "classical", "psnr": 32.126, **SCORES},
            {"method": "srgan, GAN", "kind": "learned", "psnr": 33.5, **SCORES},
        ]
    },
}
START = """# 00 · Start
$$\\min_G \\max_D V(G, D)$$
![a diagram](pictures/diagram.svg)
The numbers are in [the README](../README.md#results).

<details><summary>Solution</summary>

```python
answer = 42
```
</details>
"""
EXERCISE = "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"


def notebook(path: Path, text: str, *outputs: nbformat.NotebookNode, **parameters: object) -> None:
    cells = [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell("# Parameters", metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("shown", outputs=list(outputs), execution_count=1),
        nbformat.v4.new_code_cell(EXERCISE, metadata={"tags": ["exercise"]}),
    ]
    executed = nbformat.v4.new_notebook(cells=cells)
    executed.metadata["papermill"] = {"parameters": {"out_dir": str(path.parent), **parameters}}
    executed.metadata["language_info"] = {"name": "python"}
    nbformat.write(executed, path)


def display(**data: str) -> nbformat.NotebookNode:
    names = {"png": "image/png", "text": "text/plain", "widget": "application/vnd.jupyter.widget-view+json"}
    return nbformat.v4.new_output("display_data", {names[name]: value for name, value in data.items()})


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with a finished course."""
    pytest.importorskip("myst_nb", reason="the site needs Sphinx and MyST-NB")
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(SETTINGS, root / "docs" / "site")
    (root / "docs" / "api.md").write_text("# The library\n")  # that of the real one takes long
    (root / "docs" / "data.md").write_text("# Data\n")
    (root / "README.md").write_text("# gan-restore\n\n## Results\n\nSee [the data](docs/data.md).\n")
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        (root / name).write_text(f"# {name}\n")
    (root / "CITATION.cff").touch()
    (root / "notebooks" / "pictures").mkdir(parents=True)
    (root / "notebooks" / "pictures" / "diagram.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

    run = root / "runs" / "course" / "smoke"
    (run / "srgan" / "figures").mkdir(parents=True)
    (run / "summary.json").write_text(json.dumps(SUMMARY))
    png = io.BytesIO()
    Image.new("RGB", (2, 2)).save(png, "PNG")
    (run / "srgan" / "figures" / "06_compare_0.png").write_bytes(png.getvalue())
    slider = display(png=base64.b64encode(png.getvalue()).decode(), text="a slider", widget="{}")
    progress = display(text="training: 0%", widget="{}")
    printed = nbformat.v4.new_output("stream", name="stdout", text=f"written to {run}/figures")
    notebook(run / "00_start.ipynb", START, slider, progress, printed, seed=0)
    notebook(run / "06_evaluation-srgan.ipynb", "# 06 · Evaluation: is it better?\n", printed, recipe="srgan")
    return root


@pytest.fixture(scope="module")
def site(clone: Path) -> Path:
    """The folder of its pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "NOTEBOOKS", clone / "notebooks")
        page = build_site(clone / "runs" / "course" / "smoke")
    assert page == clone / "runs" / "course" / "smoke" / "site" / "index.html"
    return page.parent


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_first_page_shows_what_each_system_does_then_the_results(site: Path) -> None:
    page = text(site / "index.html")
    picture, table = page.index("_images/srgan.png"), page.index("32.13 (back-projection)")
    assert picture < table and "33.50 (srgan, GAN)" in page and "Super-resolution" in page
    assert "2 minutes on\nCPU, 2 threads, 2 notebooks at a time" in page and "torch 2.11" in page


def test_a_notebook_is_a_page_with_formulas_pictures_and_folded_answers(site: Path) -> None:
    page = text(site / "notebooks" / "00_start.html")
    assert (
        r"\min_G \max_D V(G, D)" in page
        and "_static/tex-svg.js" in page
        and (site / "_static" / "tex-svg.js").exists()
    )
    assert 'src="../_images/diagram.svg"' in page and (site / "_images" / "diagram.svg").exists()
    assert "<details><summary>Solution</summary>" in page and 'href="../README.html#results"' in page
    assert "Show a solution" in page and "return" in page and "SOLUTION" not in page
    assert 'class="next-page"' in page and "06 · Evaluation: is it better? (srgan)" in page


def test_a_widget_is_shown_as_its_picture_and_a_progress_bar_is_left_out(site: Path) -> None:
    page = text(site / "notebooks" / "00_start.html")
    assert len(re.findall(r'<img[^>]*src="\.\./_images/[0-9a-f]+\.png"', page)) == 1
    assert "a slider" not in page and "training: 0%" not in page and "widget" not in page


def test_pages_name_no_folder_of_this_machine(clone: Path, site: Path) -> None:
    assert not [page for page in site.rglob("*.html") if str(clone) in text(page)]
    assert "written to ../runs/course/smoke/figures" in text(site / "notebooks" / "00_start.html")
    assert "# Parameters" not in text(site / "notebooks" / "00_start.html"), "the cell above has the same"
    assert "# Parameters" in text(site / "notebooks" / "06_evaluation-srgan.html"), "it names the recipe"


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*|@import[^;]*|url\([\"']?(?:https?:)?//[^)]*"
    )
    found = {
        m for page in site.rglob("*.*") if page.suffix in (".html", ".css") for m in loaded.findall(text(page))
    }
    assert not found


def test_the_pages_are_searched_without_a_server(site: Path) -> None:
    index = text(site / "searchindex.js")
    assert "notebooks/00_start" in index and "searchindex.js" in text(site / "search.html")


def test_a_link_that_leads_nowhere_is_an_error(
    clone: Path, site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "NOTEBOOKS", clone / "notebooks")
    (clone / "docs" / "data.md").write_text("# Data\n\n[gone](nowhere.md)\n")
    with pytest.raises(UserError, match="the site was not built"):
        build_site(clone / "runs" / "course" / "smoke")
    assert re.search(r"docs/data.md:3: WARNING: .*nowhere.md", capsys.readouterr().err)
    assert (site / "index.html").exists(), "the earlier site is kept"


def test_without_a_course_there_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished course in .*; run `make course`$"):
        build_site(tmp_path)
