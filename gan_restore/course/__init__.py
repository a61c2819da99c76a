"""The course without a browser: every notebook is run, several at a time, and a site shows the results."""

import asyncio
import importlib.util
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from gan_restore import recipes
from gan_restore.course import plan
from gan_restore.course.runner import execute, run_steps
from gan_restore.course.site import PACKAGES, build_site
from gan_restore.course.sweep import run_notebook as run_notebook
from gan_restore.files import UserError, install, read_csv, read_json, write_json
from gan_restore.inference.devices import Compute, Device
from gan_restore.inference.environment import device_name, versions
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES
from gan_restore.training import run_folder

_FIGURES = "[0-9][0-9]_*.png"  # the notebooks' names for figures: 06_scores.png


class CourseFailed(Exception):
    """Some notebooks of a course failed. The message has a line for each of them."""


def run_course(
    scale: Scale,
    names: Sequence[str] = tuple(RECIPES),
    data: str | Path | None = None,
    out: str | Path = "runs/course",
    seed: int = 0,
    device: Device = "auto",
    jobs: int | None = None,
) -> Path:
    """Run the notebooks and make a site of their results.

    The notebooks of `plan.ONCE` run once, those of `plan.PER_RECIPE` for every recipe. Each executed notebook is
    written into `out`/`scale`. If all succeeded, `summary.json` there holds all results, with versions, device and
    seconds, and `site` the pages. What an earlier course left there for the same recipes is removed first.

    Args:
        scale: the scale of every recipe.
        names: the recipes.
        data: a folder that holds data sets by their names, such as `div2k` (see `Recipe.data_sets`); None uses the
            photos inside scikit-image, at smoke only.
        out: the folder for the results of all scales.
        seed: the seed of every recipe.
        device: where to compute.
        jobs: how many notebooks run at the same time; on the CPU they share its cores. None runs one on a GPU, and
            on the CPU one for each core, at most 4.

    Returns:
        The first page of the site, `site/index.html`.

    Raises:
        UserError: before anything runs, if a recipe has no fitting data, the device is missing or the course is not
            installed; at the end, if the site cannot be built.
        CourseFailed: at the end, if a notebook failed. The executed notebooks are kept.
    """
    names = list(dict.fromkeys(names))
    if not names:
        raise UserError(f"no recipes named; choose of {', '.join(RECIPES)}")
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs must be at least 1, not {jobs}")
    steps = plan.plan(names)
    used = dict.fromkeys([*names, *[step.recipe for step in steps if step.recipe]])
    chosen = [recipes.get(name, scale, seed=seed) for name in used]
    if any(importlib.util.find_spec(package) is None for package in ("papermill", "nbclient", *PACKAGES)):
        raise UserError(f"the course needs more packages: {install('course')}, or use `make course`")
    if not plan.NOTEBOOKS.is_dir():
        raise UserError(f"no notebooks at {plan.NOTEBOOKS}; run the course from a clone of the repository")
    computing_on = Compute(device=device).fabric().device
    data_sets = plan.data_sets(chosen, Path(data).resolve() if data else None)

    cores = torch.get_num_threads()
    # At most 4, because each notebook needs about a gigabyte of memory.
    jobs = jobs or (min(cores, 4) if computing_on.type == "cpu" else 1)
    threads = max(1, cores // jobs) if computing_on.type == "cpu" else None
    folder = Path(out).resolve() / scale
    _remove_results(folder, names, steps)

    async def run(step: plan.Step) -> None:
        parameters = {"out_dir": str(folder), "seed": seed, "device": device}
        if step.recipe:
            parameters |= {"recipe": step.recipe, "scale": scale, "data_dir": data_sets[step.recipe]}
        source, target = plan.NOTEBOOKS / f"{step.notebook}.ipynb", folder / f"{step.name}.ipynb"
        await execute(source, target, parameters, threads)

    started = time.perf_counter()
    seconds, failures = asyncio.run(run_steps(steps, run, jobs))
    if failures:
        lines = [f"{name}: {what}; see {folder / name}.ipynb" for name, what in failures.items()]
        raise CourseFailed("\n  ".join([f"{len(failures)} of {len(steps)} notebooks did not succeed:", *lines]))
    summary = {
        "scale": scale,
        "seed": seed,
        "device": device_name(computing_on),
        "jobs": jobs,
        "versions": versions(),
        "seconds": round(time.perf_counter() - started, 1),
        "steps": [
            {"step": step.name, "recipe": step.recipe, "seconds": seconds[step.name]}
            for step in sorted(steps, key=lambda step: step.notebook)
        ],
        "training_seconds": {name: read_csv(folder / name / "metrics.csv")[-1]["seconds"] for name in names},
        "recipes": {name: read_json(folder / name / "results.json") for name in names},
    }
    write_json(folder / "summary.json", summary)
    print("building the site ...", flush=True)
    page = build_site(folder)
    print(f"The course, with its results: {page}")
    return page


def _remove_results(folder: Path, names: Sequence[str], steps: Sequence[plan.Step]) -> None:
    """Remove what an earlier course wrote and this one writes again, so that nothing older is shown with it."""
    files = [folder / "summary.json", *[folder / f"{step.name}.ipynb" for step in steps]]
    for figures in (folder / "figures", *[folder / name / "figures" for name in names]):
        files += figures.glob(_FIGURES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.unlink(missing_ok=True)
        for name in names:
            run_folder.remove(folder / name)
        if (folder / "site").exists():
            shutil.rmtree(folder / "site")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from None
