"""One page that shows the results of a course, and a page of each executed notebook."""

from pathlib import Path
from typing import Any

from gan_restore.files import writing
from gan_restore.recipes.names import RECIPES

FIGURES = "[0-9][0-9]_*.png"  # the notebooks' names for figures: 06_scores.png


def write_page(folder: Path, summary: dict[str, Any]) -> Path:
    """Write `index.html` from the summary and the notebooks' figures, and the notebooks as .html.

    Args:
        folder: the results of a course.
        summary: what its `summary.json` holds.
    """
    import jinja2
    from nbconvert import HTMLExporter

    for step in summary["steps"]:
        with writing(folder / f"{step['step']}.html") as part:
            notebook = str(folder / f"{step['step']}.ipynb")
            part.write_text(HTMLExporter(exclude_input_prompt=True).from_filename(notebook)[0], encoding="utf-8")
    loader = jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates")
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("course.html")
    systems = []
    for name, rows in summary["recipes"].items():
        rows = sorted(rows, key=lambda row: row["psnr"], reverse=True)
        figures = [path.relative_to(folder).as_posix() for path in (folder / name / "figures").glob(FIGURES)]
        figures.sort(reverse=True)  # those of 06, the results, first
        systems.append({"name": name, "title": RECIPES[name].title, "rows": rows, "figures": figures})
    page = template.render(summary=summary, systems=systems)
    with writing(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "index.html"
