"""The course without a browser: papermill runs every notebook, and one page shows the results."""

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
from gan_restore.recipes.base import DOWNLOAD, Recipe, Scale
from gan_restore.recipes.names import RECIPES

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ONCE = ("00_start_here", "01_data", "02_generator", "03_a_gan_in_forty_lines", "04_discriminator")
PER_RECIPE = ("05_training", "06_evaluation")
_FIGURES = "[0-9][0-9]_*.png"  # the notebooks' names for figures: 06_scores.png


def run_course(
    scale: Scale,
    names: Sequence[str] = tuple(RECIPES),
    data: str | Path | None = None,
    out: str | Path = "runs/course",
    seed: int = 0,
    device: Device = "auto",
) -> Path:
    """Run the notebooks in order and make a page of their results.

    The notebooks 00 to 04 run once, for the first recipe; 05 and 06 run for every recipe. Each executed notebook is
    written into `out`/`scale` as .ipynb and .html. `summary.json` there holds all results, with versions, device
    and seconds. Results that an earlier course left there for the same recipes are removed first.

    Args:
        scale: the scale of every recipe.
        names: the recipes.
        data: a folder that holds data sets by their names, such as `div2k` (see `Recipe.data_sets`); None uses the
            photos inside scikit-image, at smoke only.
        out: the folder for the results of all scales.
        seed: the seed of every recipe.
        device: where to compute.

    Returns:
        The page of results, `index.html`.

    Raises:
        UserError: before anything runs, if a recipe has no fitting data, the device is missing or the course is not
            installed; later, if a notebook fails. The results until then are kept.
    """
    names = list(dict.fromkeys(names))
    if not names:
        raise UserError(f"no recipes named; choose of {', '.join(RECIPES)}")
    chosen = [recipes.get(name, scale, seed=seed) for name in names]
    if importlib.util.find_spec("papermill") is None or importlib.util.find_spec("nbconvert") is None:
        raise UserError("the course needs more packages: pip install 'gan-restore[course]', or use `make course`")
    if not NOTEBOOKS.is_dir():
        raise UserError(f"no notebooks at {NOTEBOOKS}; run the course from a clone of the repository")
    fabric = Compute(device=device).fabric()
    data_sets = _data_sets(chosen, Path(data).resolve() if data else None)

    folder = Path(out).resolve() / scale
    plan = [(notebook, notebook, names[0]) for notebook in ONCE]
    plan += [(notebook, f"{notebook}-{name}", name) for name in names for notebook in PER_RECIPE]
    _remove_results(folder, names, [target for _, target, _ in plan])
    steps = []
    for number, (notebook, target, name) in enumerate(plan, start=1):
        print(f"[{number}/{len(plan)}] {target} ...", end=" ", flush=True)
        started = time.perf_counter()
        parameters: dict[str, Any] = {"recipe": name, "scale": scale, "data_dir": data_sets[name]}
        parameters |= {"out_dir": str(folder), "seed": seed, "device": device}
        try:
            _execute(NOTEBOOKS / f"{notebook}.ipynb", folder / f"{target}.ipynb", parameters)
        except UserError:
            print("failed", flush=True)
            raise
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


def _data_sets(chosen: list[Recipe], folder: Path | None) -> dict[str, str | None]:
    """The data set of every recipe in `folder`, the one that it prefers, after all its images were opened."""
    if folder is None:
        if chosen[0].scale != "smoke":
            needed = ", ".join(dict.fromkeys(recipe.data_sets[0] for recipe in chosen))
            raise UserError(
                f"scale {chosen[0].scale} needs data sets: run `{DOWNLOAD} NAME` for each of {needed}, "
                "then pass the folder that holds them: --data data"
            )
        return {recipe.name: None for recipe in chosen}
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; --data names the folder that holds the data sets")
    if any(folder.name in kind.data_sets for kind in RECIPES.values()):
        raise UserError(
            f"{folder} is one data set; pass the folder that holds one for each recipe: --data {folder.parent}"
        )
    return {recipe.name: str(_data_set(recipe, folder)) for recipe in chosen}


def _data_set(recipe: Recipe, folder: Path) -> Path:
    found = [folder / name for name in recipe.data_sets if (folder / name).is_dir()]
    if not found:
        raise UserError(
            f"{folder} holds no {' or '.join(recipe.data_sets)} for {recipe.name}; run "
            f"`{DOWNLOAD} {recipe.data_sets[0]} --root {folder}`, or name other recipes with --recipes"
        )
    try:
        own = recipes.get(recipe.name, recipe.scale, data=str(found[0]))
        for split in ("train", "val", "test"):
            own.images(split)
    except UserError as error:
        raise UserError(f"{recipe.name} cannot use {found[0]}: {error}") from None
    return found[0]


def _remove_results(folder: Path, names: Sequence[str], targets: Sequence[str]) -> None:
    """Remove what an earlier course wrote and this one writes again, so that its page shows nothing older."""
    files = [folder / "index.html", folder / "summary.json"]
    files += [folder / f"{target}{suffix}" for target in targets for suffix in (".ipynb", ".html")]
    for name in names:
        files += [folder / name / "results.json", *(folder / name / "figures").glob(_FIGURES)]
    for file in files:
        file.unlink(missing_ok=True)


def _execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Run one notebook and write it, executed, as .ipynb and .html."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from nbconvert import HTMLExporter
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as sockets:
            # Files instead of TCP: other users of the machine cannot listen, and the kernel does not warn of it.
            transport = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
            options = {"kernel_name": "python3", "progress_bar": False, "config": transport}
            papermill.execute_notebook(str(source), str(target), parameters, **options)
    except PapermillExecutionError as error:
        last = ": ".join([error.ename, *error.evalue.strip().splitlines()[-1:]])
        raise UserError(f"{target.stem} failed in cell [{error.exec_count}]: {last}; see {target}") from None
    except DeadKernelError:
        raise UserError(f"{target.stem}: Python died, as it does when memory runs out; see {target}") from None
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}; choose another --out") from None
    with writing(target.with_suffix(".html")) as part:
        part.write_text(HTMLExporter(exclude_input_prompt=True).from_filename(str(target))[0], encoding="utf-8")


def _write_page(folder: Path, summary: dict[str, Any]) -> Path:
    """Write `index.html` from the summary and the notebooks' figures."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("course.html")
    systems = []
    for name, rows in summary["recipes"].items():
        rows = sorted(rows, key=lambda row: row["psnr"], reverse=True)
        figures = [path.relative_to(folder).as_posix() for path in (folder / name / "figures").glob(_FIGURES)]
        figures.sort(reverse=True)  # those of 06, the results, first
        systems.append({"name": name, "title": RECIPES[name].title, "rows": rows, "figures": figures})
    page = template.render(summary=summary, systems=systems, total=sum(s["seconds"] for s in summary["steps"]))
    with writing(folder / "index.html") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "index.html"
