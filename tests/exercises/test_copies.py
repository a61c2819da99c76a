"""The learner's copies of the notebooks."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gan_restore.cli import main
from gan_restore.exercises import blank, write_copies
from gan_restore.files import UserError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXERCISE = {"tags": ["exercise"]}
SOLVED = """\
def half(x):
    if x:
        ### BEGIN SOLUTION
        y = x / 2
        return y
        ### END SOLUTION
    return 0
"""


def cells(*sources: str) -> NotebookNode:
    return new_notebook(cells=[new_code_cell(source, metadata=EXERCISE) for source in sources])


def blanked(source: str) -> str:
    return blank(cells(source)).cells[0].source


def test_a_solution_inside_a_function_becomes_an_error() -> None:
    source = blanked(SOLVED)
    assert source == (
        'def half(x):\n    if x:\n        raise NotImplementedError("Write your code here.")\n    return 0\n'
    )
    ast.parse(source)


def test_names_that_a_solution_defines_become_dots() -> None:
    inside = "a, b = 1, 2\nc = a\n\ndef half(x):\n    y = x\n    return y / 2\n"
    assert blanked(f"### BEGIN SOLUTION\n{inside}### END SOLUTION\nd = 3") == (
        "a = ...\nb = ...\nc = ...\nhalf = ...\nd = 3"
    )
    assert blanked("### BEGIN SOLUTION\nprint(1)\n### END SOLUTION") == "..."


def test_the_copy_prints_where_the_notebook_raises_and_has_no_outputs() -> None:
    notebook = cells(SOLVED)
    notebook.cells += [new_markdown_cell("`exercises.check(`"), new_code_cell('exercises.check("psnr", half)')]
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="Right")]
    copy = blank(notebook)
    assert copy.cells[1].source == "`exercises.check(`"
    assert copy.cells[2].source == 'exercises.feedback("psnr", half)' and not copy.cells[2].outputs
    assert "BEGIN SOLUTION" in notebook.cells[0].source, "the notebook itself is not changed"


@pytest.mark.parametrize(
    ("source", "metadata"),
    [("### BEGIN SOLUTION\nx = 1", EXERCISE), ("### END SOLUTION", EXERCISE), (SOLVED, {})],
)
def test_a_lone_marker_is_refused(source: str, metadata: dict) -> None:
    with pytest.raises(ValueError, match="marker"):
        blank(new_notebook(cells=[new_code_cell(source, metadata=metadata)]))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_copies_of_the_notebooks_are_valid_and_hold_no_solution(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    copy = blank(notebook)
    nbformat.validate(copy)
    for before, after in zip(notebook.cells, copy.cells, strict=True):
        if after.cell_type == "code":
            ast.parse(after.source)
            assert "SOLUTION" not in after.source and "exercises.check" not in after.source
        assert before.cell_type == "code" or before.source == after.source


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder with two notebooks and a picture."""
    folder = tmp_path / "notebooks"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "net.svg").write_text("<svg/>")
    for name in ("00_start", "01_data"):
        nbformat.write(cells(SOLVED), folder / f"{name}.ipynb")
    return folder


def edit(path: Path, source: str) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = source
    nbformat.write(notebook, path)


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_copies_that_the_learner_changed_are_kept(course: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    assert names(write_copies(course, lab)[0]) == ["00_start", "01_data"]
    assert (lab / "pictures" / "net.svg").exists()
    assert write_copies(course, lab) == ([], [])
    edit(lab / "00_start.ipynb", "mine")
    edit(course / "00_start.ipynb", "newer")
    edit(course / "01_data.ipynb", "newer")
    written, kept = write_copies(course, lab)
    assert names(written) == ["01_data"] and names(kept) == ["00_start"]
    assert nbformat.read(lab / "00_start.ipynb", as_version=4).cells[0].source == "mine"
    assert nbformat.read(lab / "01_data.ipynb", as_version=4).cells[0].source == "newer"
    assert names(write_copies(course, lab, overwrite=True)[0]) == ["00_start", "01_data"]
    assert nbformat.read(lab / "00_start.ipynb", as_version=4).cells[0].source == "newer"


def test_a_file_that_is_no_copy_is_kept(course: Path, tmp_path: Path) -> None:
    nbformat.write(cells("own"), tmp_path / "01_data.ipynb")
    written, kept = write_copies(course, tmp_path)
    assert names(written) == ["00_start"] and names(kept) == ["01_data"]
    (tmp_path / "01_data.ipynb").write_text("no notebook")
    assert names(write_copies(course, tmp_path)[1]) == ["01_data"]


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run this from a clone"):
        write_copies(tmp_path, tmp_path / "lab")


def test_the_command_writes_the_notebooks_of_the_course(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab, count = tmp_path / "lab", len(list(NOTEBOOKS.glob("*.ipynb")))
    assert main(["exercises", "--out", str(lab)]) == 0
    assert capsys.readouterr().out == f"{count} notebooks written to {lab}\n"
    edit(lab / "01_data.ipynb", "mine")
    assert main(["exercises", "--out", str(lab)]) == 0
    assert "kept as you changed them: 01_data (--overwrite" in capsys.readouterr().out
