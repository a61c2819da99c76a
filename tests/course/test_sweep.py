import asyncio
from pathlib import Path

import nbformat
import pytest
from support import write_notebook

from gan_restore.course import run_notebook
from gan_restore.files import UserError


@pytest.fixture
def one_training(tmp_path: Path) -> Path:
    source = "print('rate', learning_rate)\nif learning_rate > 1: raise ValueError('too large')"
    return write_notebook(tmp_path / "one_training.ipynb", source, parameters="learning_rate = 0.1")


def test_runs_get_their_parameters_and_a_failed_one_leaves_its_error_while_the_others_go_on(
    one_training: Path, tmp_path: Path
) -> None:
    runs = {"small": {"learning_rate": 0.5}, "large": {"learning_rate": 2}, "as_written": {}}
    failures = asyncio.run(run_notebook(one_training, runs, tmp_path / "new", jobs=2))
    assert failures == {"large": "failed in cell [3]: ValueError: too large"}
    written = {path.stem: nbformat.read(path, as_version=4) for path in (tmp_path / "new").iterdir()}
    outputs = {name: notebook.cells[-1].outputs for name, notebook in written.items()}
    assert {name: first.text for name, (first, *_) in outputs.items()} == {
        "small": "rate 0.5\n", "large": "rate 2\n", "as_written": "rate 0.1\n",
    }  # fmt: skip
    assert outputs["large"][-1].ename == "ValueError"


@pytest.mark.parametrize(
    ("runs", "jobs", "message"),
    [
        ({"a": {"rate": 1}}, 1, "one_training.ipynb has no parameter rate; it has learning_rate"),
        ({"a": {}}, 0, "jobs must be at least 1, not 0"),
    ],
)
def test_runs_that_cannot_be_meant_are_refused(
    one_training: Path, tmp_path: Path, runs: dict, jobs: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        asyncio.run(run_notebook(one_training, runs, tmp_path / "new", jobs))
    assert not (tmp_path / "new").exists()
