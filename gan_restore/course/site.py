"""The site: a course's executed notebooks, the docs and the library's docstrings as pages, made with Sphinx."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gan_restore.course import plan
from gan_restore.files import UserError, install, read_json
from gan_restore.recipes.names import RECIPES

PACKAGES = ("myst_nb", "furo", "sphinx-mathjax-offline")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION *\n?", re.MULTILINE)
_PICTURES = {"image/png", "image/svg+xml", "text/html"}


def build_site(folder: str | Path) -> Path:
    """Build the site of a finished course into `folder`/site. It needs no network, neither to build nor to read.

    Args:
        folder: the results of a course, such as `runs/course/smoke`.

    Returns:
        Its first page, `index.html`.

    Raises:
        UserError: if there is no finished course, Sphinx is not installed, or Sphinx warns of anything, such as a
            link that leads nowhere.
    """
    folder, settings = Path(folder).resolve(), plan.NOTEBOOKS.parent / "docs" / "site"
    if not (folder / "summary.json").is_file():
        raise UserError(f"no finished course in {folder}; run `make course`")
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        raise UserError(f"the site needs more packages: {install('course')}, or use `make site`")
    if not settings.is_dir():
        raise UserError(f"no folder {settings}; build the site from a clone of the repository")
    with tempfile.TemporaryDirectory() as temporary:
        sources, pages = Path(temporary, "sources"), Path(temporary, "site")
        _collect(folder, sources)
        # A process of its own: Sphinx changes Python's global state.
        options = ["-q", "--fail-on-warning", "-j", "auto", "-c", str(settings), "-d", f"{temporary}/cache"]
        command = [sys.executable, "-m", "sphinx", *options, str(sources), str(pages)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.replace(f"{sources}/", ""), file=sys.stderr)
            raise UserError("the site was not built; Sphinx says above what is wrong")
        shutil.rmtree(folder / "site", ignore_errors=True)
        shutil.move(pages, folder / "site")
    return folder / "site" / "index.html"


def _collect(folder: Path, sources: Path) -> None:
    """Put all sources of the site into one folder, laid out as the repository, so that links between them hold."""
    import jinja2

    root = plan.NOTEBOOKS.parent
    summary: Any = read_json(folder / "summary.json")
    shutil.copytree(root / "docs", sources / "docs", ignore=shutil.ignore_patterns("site"))
    for file in [*root.glob("*.md"), root / "CITATION.cff"]:
        shutil.copy(file, sources)
    (sources / "notebooks").mkdir()
    if (plan.NOTEBOOKS / "pictures").is_dir():
        shutil.copytree(plan.NOTEBOOKS / "pictures", sources / "notebooks" / "pictures")
    systems = []
    for name, rows in summary["recipes"].items():
        figure = folder / name / "figures" / "06_compare_0.png"
        if figure.is_file():
            shutil.copy(figure, sources / f"{name}.png")
        systems.append({"name": name, "kind": RECIPES[name], "figure": figure.is_file(), "rows": rows})
    loader = jinja2.FileSystemLoader(root / "docs" / "site")
    template = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True).get_template(
        "index.md.jinja"
    )
    page = template.render(
        summary=summary,
        systems=systems,
        has_models=(sources / "docs" / "models.md").is_file(),
        notebooks=[_copy_notebook(folder, sources / "notebooks", step) for step in summary["steps"]],
        docs=sorted(path.relative_to(sources).with_suffix("") for path in (sources / "docs").rglob("*.md")),
    )
    (sources / "index.md").write_text(page, encoding="utf-8")


def _copy_notebook(folder: Path, target: Path, step: dict[str, Any]) -> str:
    """Copy an executed notebook as a page shows it.

    Widgets become pictures, solutions of exercises are folded, and no folder of this machine is named.

    Returns:
        Its line in the table of contents.
    """
    import nbformat

    name = step["step"]
    text = (folder / f"{name}.ipynb").read_text(encoding="utf-8")
    parameters = nbformat.reads(text, as_version=4).metadata.papermill.parameters
    text = text.replace(str(parameters["out_dir"]), f"../runs/course/{folder.name}")
    notebook = nbformat.reads(text, as_version=4)
    if "recipe" not in parameters:  # nothing but out_dir, seed and device: the cell above shows the same
        notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_shown(output)]
            if "exercise" in cell.metadata.get("tags", []):
                cell.source = _MARKERS.sub("", cell.source)
                cell.metadata.tags.append("hide-input")  # MyST-NB folds it
    heading, _, rest = notebook.cells[0].source.partition("\n")
    contents = f"notebooks/{name}"
    if step["recipe"] and name.endswith(step["recipe"]):  # one notebook for several recipes
        contents = f"{heading.removeprefix('# ').partition(':')[0]}: {step['recipe']} <{contents}>"
        notebook.cells[0].source = f"{heading} ({step['recipe']})\n{rest}"
    nbformat.write(notebook, target / f"{name}.ipynb")
    return contents


def _is_shown(output: Any) -> bool:
    """Whether a page shows an output. Widgets are shown as their pictures; one without is a progress bar."""
    data = output.get("data", {})
    return data.pop(_WIDGET, None) is None or not _PICTURES.isdisjoint(data)
