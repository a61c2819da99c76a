"""The course without a hand on it: every notebook run by papermill, and one page of what came out."""

import importlib.util
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_restore import recipes
from gan_restore.files import UserError, read_json, write_json, writing
from gan_restore.inference.devices import Compute, Device
from gan_restore.inference.environment import device_name, versions
from gan_restore.recipes.names import RECIPES

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ONCE = ("00_start_here", "01_data", "02_generator", "03_discriminator")
PER_RECIPE = ("04_training", "05_evaluation")


def run_course(
    scale: str,
    names: Sequence[str] = tuple(RECIPES),
    data: str | None = None,
    out: str | Path = "runs/course",
    seed: int = 0,
    device: Device = "auto",
) -> Path:
    """Run the notebooks in order into `out`/`scale` and return the page of results, `index.html`.

    00 to 03 run once, with the first recipe; 04 and 05 run for each. Beside each executed notebook lies the
    same as HTML; `summary.json` collects all results with versions, device and seconds.

    Raises:
        UserError: if a notebook fails; what it had done until then is kept.
    """
    if not names:
        raise UserError(f"no recipes named; choose of {', '.join(RECIPES)}")
    if importlib.util.find_spec("papermill") is None or importlib.util.find_spec("nbconvert") is None:
        raise UserError("the course needs more packages: pip install 'gan-restore[course]', or use `make course`")
    fabric = Compute(device=device).fabric()  # a device that is not there is said now too
    folder = Path(out).resolve() / scale
    for name in names:
        recipes.get(name, scale, data=data).images("test")  # a missing data set is said now, not after 00
    if not NOTEBOOKS.is_dir():
        raise UserError(f"no notebooks at {NOTEBOOKS}; run the course from a clone of the repository")
    for name in ("index.html", "summary.json"):
        (folder / name).unlink(missing_ok=True)
    common = {"scale": scale, "data_dir": data and str(Path(data).resolve()), "out_dir": str(folder)}
    common |= {"seed": seed, "device": device}
    plan = [(notebook, notebook, names[0]) for notebook in ONCE]
    plan += [(notebook, f"{notebook}-{name}", name) for name in names for notebook in PER_RECIPE]
    steps = []
    for number, (notebook, target, name) in enumerate(plan, start=1):
        print(f"[{number}/{len(plan)}] {target} ...", end=" ", flush=True)
        started = time.perf_counter()
        _execute(NOTEBOOKS / f"{notebook}.ipynb", folder / f"{target}.ipynb", {"recipe": name, **common})
        steps.append({"step": target, "recipe": name, "seconds": round(time.perf_counter() - started, 1)})
        print(f"{steps[-1]['seconds']:.0f} s", flush=True)
    summary = {
        "scale": scale,
        "seed": seed,
        "device": device_name(fabric.device),
        "versions": versions(),
        "steps": steps,
        "recipes": {name: read_json(folder / name / "results.json") for name in names},
    }
    write_json(folder / "summary.json", summary)
    page = _write_page(folder, summary)
    print(f"The results: {page}")
    return page


def _execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Run one notebook and write it, executed, as .ipynb and .html."""
    import papermill
    from nbconvert import HTMLExporter
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as sockets:
            # Not over TCP: nobody else on the machine can listen, and the kernel does not warn of it.
            transport = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
            options = {"kernel_name": "python3", "progress_bar": False, "config": transport}
            papermill.execute_notebook(str(source), str(target), parameters, **options)
    except PapermillExecutionError as error:
        raise UserError(f"{source.name} failed: {error.ename}: {error.evalue}; see {target}") from None
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}; choose another --out") from None
    with writing(target.with_suffix(".html")) as part:
        part.write_text(HTMLExporter(exclude_input_prompt=True).from_filename(str(target))[0], encoding="utf-8")


def _write_page(folder: Path, summary: dict[str, Any]) -> Path:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("course.html")
    systems = []
    for name, rows in summary["recipes"].items():
        rows = sorted(rows, key=lambda row: row["psnr"], reverse=True)
        figures = [path.relative_to(folder).as_posix() for path in (folder / name / "figures").glob("*.png")]
        pictures = sorted(figures, reverse=True)  # the results of 05 first
        systems.append({"name": name, "title": RECIPES[name].title, "rows": rows, "figures": pictures})
    page = template.render(summary=summary, systems=systems, total=sum(s["seconds"] for s in summary["steps"]))
    with writing(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "index.html"
