"""Running notebooks without a browser, several at a time."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from gan_restore.course.plan import Step, needed_by
from gan_restore.files import writing

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


_NUDGE_SECONDS = 5.0


class NotebookFailed(Exception):
    """A notebook stopped before its end. The message says in which cell and why."""


async def execute(source: Path, target: Path, parameters: dict[str, Any], threads: int | None = None) -> None:
    """Run one notebook in a Python process of its own and write it, executed, also if it failed.

    Widgets are written as the picture that they show without a browser; their state is left out.

    Args:
        source: the notebook.
        target: the executed notebook.
        parameters: values for its cell of parameters. Those that the cell does not have are left out.
        threads: how many threads its computations may use; None leaves that to the libraries. A number that the
            user set, such as OMP_NUM_THREADS, is kept.

    Raises:
        NotebookFailed: if a cell fails or Python dies.
        UserError: if `target` cannot be written.
    """
    import nbformat
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    notebook = load_notebook_node(str(source))
    declared = papermill.inspect_notebook(notebook)
    notebook = parameterize_notebook(notebook, {k: v for k, v in parameters.items() if k in declared})
    environment = os.environ if threads is None else dict.fromkeys(_THREADS, str(threads)) | os.environ
    with tempfile.TemporaryDirectory() as sockets:
        # Files instead of TCP: other users of the machine cannot listen, and the kernel does not warn of it.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(notebook, km=kernel)
        try:
            # The steps of `client.async_execute`, which would take over Ctrl-C for one notebook, and store widgets.
            await client.async_start_new_kernel(env=environment)
            await client.async_start_new_kernel_client()
            for index, cell in enumerate(notebook.cells):
                await _execute_cell(client, cell, index)
        finally:
            try:
                await kernel.shutdown_kernel(now=True)
                if client.kc:
                    client.kc.stop_channels()
            finally:
                with writing(target) as part:
                    nbformat.write(notebook, part)


async def _execute_cell(client: Any, cell: Any, index: int) -> None:
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    nudges = asyncio.create_task(_nudge(client))
    try:
        await client.async_execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
    except CellExecutionError as error:
        last = ": ".join([error.ename, *error.evalue.strip().splitlines()[-1:]])
        raise NotebookFailed(f"in cell [{cell.execution_count}]: {last}") from None
    except DeadKernelError:
        task = asyncio.current_task()
        if task and task.cancelling():  # nbclient takes a cancelled cell for a dead kernel
            raise asyncio.CancelledError from None
        count = client.code_cells_executed
        raise NotebookFailed(f"in cell [{count}]: Python died, as it does when memory runs out") from None
    finally:
        nudges.cancel()


async def _nudge(client: Any) -> None:
    """Send the kernel a small request every few seconds.

    A message that arrives while another is sent, as widgets do, can stay unnoticed until the next one arrives
    (nbclient issue 312, ipykernel issue 1554). Without a next one the notebook would wait for ever.
    """
    while True:
        await asyncio.sleep(_NUDGE_SECONDS)
        client.kc.kernel_info()


async def run_steps(
    steps: Sequence[Step], run: Callable[[Step], Awaitable[None]], jobs: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Run the steps, at most `jobs` at a time, each as soon as the steps that it needs have succeeded.

    Of the steps that could start, the first in the list does. A line is printed when a step starts and when it
    ends. If a step fails, the others go on, except those that need it.

    Args:
        steps: the steps.
        run: runs one step; raises `NotebookFailed` if it fails.
        jobs: how many run at the same time.

    Returns:
        The seconds that each step took which succeeded, and what happened to each of the others, by their names.
    """
    waiting, running = list(steps), set[asyncio.Task[None]]()
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}

    async def one(step: Step, number: int) -> None:
        label = f"[{number:2}/{len(steps)}] {step.name}"
        print(f"{label} ...", flush=True)
        started = time.perf_counter()
        try:
            await run(step)
        except NotebookFailed as failure:
            failures[step.name] = f"failed {failure}"
            print(f"{label}: {failures[step.name]}", flush=True)
        else:
            seconds[step.name] = round(time.perf_counter() - started, 1)
            print(f"{label}: {seconds[step.name]:.0f} s", flush=True)

    try:
        while waiting or running:
            for step in list(waiting):
                needed = [other.name for other in needed_by(step, steps)]
                if failed := [name for name in needed if name in failures]:
                    waiting.remove(step)
                    failures[step.name] = f"not run, because it needs {failed[0]}"
                elif len(running) < jobs and all(name in seconds for name in needed):
                    waiting.remove(step)
                    number = len(steps) - len(waiting)
                    running.add(asyncio.create_task(one(step, number)))
            if running:
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()  # raises what was not expected
    finally:  # a caller that is interrupted or stops by an error leaves no notebook running
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return seconds, failures
