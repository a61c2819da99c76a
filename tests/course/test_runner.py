import asyncio
import os
import signal
import threading
from pathlib import Path

import nbformat
import pytest
from support import write_notebook

from gan_restore.course import runner
from gan_restore.course.plan import Step
from gan_restore.course.runner import NotebookFailed, execute, run_steps

WIDGET = """
import ipywidgets
with ipywidgets.Output():
    print("inside a widget")
ipywidgets.IntSlider()
"""


def test_a_notebook_gets_the_parameters_that_it_declares_and_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    source = write_notebook(
        tmp_path / "source.ipynb",
        "import os; print(seed, 'recipe' in globals(), *map(os.getenv, ['OMP_NUM_THREADS', 'MKL_NUM_THREADS']))",
        WIDGET,
        parameters="seed = 0",
    )
    target = tmp_path / "new" / "target.ipynb"
    asyncio.run(execute(source, target, {"seed": 7, "recipe": "srgan"}, threads=3))
    executed = nbformat.read(target, as_version=4)
    assert executed.cells[-2].outputs[0].text == "7 False 3 7\n", "what the user set is kept"
    assert "application/vnd.jupyter.widget-view+json" in executed.cells[-1].outputs[0].data
    assert "widgets" not in executed.metadata, "pages show the picture of a widget and not its state"


def test_a_reply_that_was_overlooked_is_found_with_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Client:
        """Its cell ends when the kernel sends something else."""

        def __init__(self) -> None:
            self.woken, self.kc, self.code_cells_executed = asyncio.Event(), self, 0

        def kernel_info(self) -> None:
            self.woken.set()

        async def async_execute_cell(self, *args: object, **options: object) -> None:
            await self.woken.wait()

    async def run_cell() -> int:
        await asyncio.wait_for(runner._execute_cell(Client(), None, 0), timeout=10)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    monkeypatch.setattr(runner, "_NUDGE_SECONDS", 0.01)
    assert asyncio.run(run_cell()) == 1, "it stops with the cell"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("raise RuntimeError('one\\ntwo')", r"in cell \[2\]: RuntimeError: two$"),
        ("import os; os._exit(1)", r"in cell \[2\]: Python died"),
    ],
)
def test_a_failed_notebook_is_written_as_far_as_it_came(tmp_path: Path, cell: str, message: str) -> None:
    source = write_notebook(tmp_path / "source.ipynb", cell, "print('after')", parameters="")
    with pytest.raises(NotebookFailed, match=message):
        asyncio.run(execute(source, tmp_path / "target.ipynb", {}))
    failed, after = nbformat.read(tmp_path / "target.ipynb", as_version=4).cells[-2:]
    assert after.outputs == []
    if "raise" in cell:
        assert failed.outputs[0].ename == "RuntimeError"


def run(steps: list[Step], jobs: int, failing: str = "") -> tuple[list[str], dict[str, str]]:
    """What starts and ends, in order, and what did not succeed. A step whose recipe is "long" takes longer."""
    events = []

    async def one(step: Step) -> None:
        events.append(f"+{step.name}")
        for _ in range(30 if step.recipe == "long" else 3):
            await asyncio.sleep(0)
        events.append(f"-{step.name}")
        if step.name == failing:
            raise NotebookFailed("in cell [1]: ValueError")

    seconds, failures = asyncio.run(run_steps(steps, one, jobs))
    assert sorted([*seconds, *failures]) == sorted(step.name for step in steps)
    return events, failures


def test_steps_run_beside_each_other_and_after_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    training, evaluation = Step("05_training", "long"), Step("06_evaluation", "long")
    a, b = Step("a"), Step("b")
    steps = [training, evaluation, a, b]
    assert run(steps, jobs=2)[0] == [
        "+05_training", "+a", "-a", "+b", "-b", "-05_training",
        "+06_evaluation-long", "-06_evaluation-long",
    ]  # fmt: skip
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["[ 1/4] 05_training ...", "[ 2/4] a ...", "[ 2/4] a: 0 s"]
    one_by_one = run(steps, jobs=1)[0]
    assert [event[0] for event in one_by_one] == list("+-" * 4) and one_by_one[2] == "+06_evaluation-long"


def test_a_failure_stops_only_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    training, evaluation, other = Step("05_training", "x"), Step("06_evaluation", "x"), Step("06_evaluation", "y")
    events, failures = run([training, evaluation, other], jobs=1, failing=training.name)
    assert failures == {
        "05_training": "failed in cell [1]: ValueError",
        "06_evaluation-x": "not run, because it needs 05_training",
    }
    assert "-06_evaluation-y" in events and "+06_evaluation-x" not in events
    assert "05_training: failed in cell [1]: ValueError" in capsys.readouterr().out


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_stops_every_notebook_and_leaves_no_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_notebook(
        tmp_path / "source.ipynb",
        "import os, pathlib, time; print('begun')",
        "pathlib.Path(out_dir, f'{os.getpid()}.pid').touch(); time.sleep(600)",
        parameters="out_dir = None",
    )

    async def one(step: Step) -> None:
        await execute(source, tmp_path / f"{step.name}.ipynb", {"out_dir": str(tmp_path)})

    def press() -> None:
        while len(list(tmp_path.glob("*.pid"))) < 2 and not over.wait(0.1):
            pass
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    over = threading.Event()
    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(run_steps([Step("a"), Step("b"), Step("c")], one, jobs=2))
    finally:
        over.set()
    started = [int(file.stem) for file in tmp_path.glob("*.pid")]
    assert len(started) == 2 and not any(alive(pid) for pid in started)
    assert "failed" not in capsys.readouterr().out
    assert "begun" in (tmp_path / "a.ipynb").read_text() and not (tmp_path / "c.ipynb").exists()


def test_an_interrupted_caller_leaves_no_step_running() -> None:
    """In a notebook, Ctrl-C cancels the cell that waits for the steps, and not the event loop."""
    events = []

    async def one(step: Step) -> None:
        events.append(f"+{step.name}")
        try:
            await asyncio.sleep(600)
        finally:
            events.append(f"-{step.name}")

    async def cell() -> None:
        waiting = asyncio.create_task(run_steps([Step("a"), Step("b")], one, jobs=1))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert events == ["+a", "-a"]

    asyncio.run(cell())
