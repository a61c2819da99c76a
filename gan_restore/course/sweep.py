"""One notebook run many times with different parameters, several runs side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gan_restore.course.plan import Step
from gan_restore.course.runner import execute, run_steps
from gan_restore.files import UserError


async def run_notebook(
    notebook: str | Path, runs: Mapping[str, Mapping[str, Any]], out: str | Path, jobs: int = 1
) -> dict[str, str]:
    """Run a notebook once for each set of parameters, at most `jobs` at a time.

    Each executed notebook is written to `out`. One that failed ends with the error, and the other runs go on. The
    runs share the threads of this process. In a notebook the function is called with `await`, and elsewhere by
    `asyncio.run`.

    Args:
        notebook: the notebook to run; a cell has the tag "parameters".
        runs: name of a run -> values for that cell. The executed notebook is `out`/NAME.ipynb.
        out: a folder, which is made if it does not exist.
        jobs: how many runs at the same time; each is a Python process of its own.

    Returns:
        The runs that failed: name -> in which cell and why.

    Raises:
        UserError: if `jobs` is less than 1, a run has a parameter that the notebook does not have, or an executed
            notebook cannot be written.

    Example:
        >>> runs = {f"seed_{seed}": {"seed": seed} for seed in range(4)}
        >>> failed = asyncio.run(run_notebook("one_training.ipynb", runs, "runs/seeds", jobs=2))  # doctest: +SKIP
    """
    import papermill

    if jobs < 1:
        raise UserError(f"jobs must be at least 1, not {jobs}")
    source, out = Path(notebook), Path(out)
    declared = papermill.inspect_notebook(str(source))
    if unknown := {name for parameters in runs.values() for name in parameters} - set(declared):
        raise UserError(f"{source} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(declared)}")
    threads = max(1, torch.get_num_threads() // jobs)

    async def run(step: Step) -> None:
        await execute(source, out / f"{step.name}.ipynb", dict(runs[step.name]), threads)

    _, failures = await run_steps([Step(name) for name in runs], run, jobs)
    return failures
