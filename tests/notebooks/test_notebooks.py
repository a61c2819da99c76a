"""What every notebook promises, read off its source; `make course` runs them."""

from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PARAMETERS = ["recipe", "scale", "data_dir", "out_dir", "seed", "device"]


def test_they_are_all_there() -> None:
    names = ["00_start_here", "01_data", "02_generator", "03_discriminator", "04_training", "05_evaluation"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_outputs_are_stripped(notebook: nbformat.NotebookNode) -> None:
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))


def test_one_parameters_cell_with_the_contract(notebook: nbformat.NotebookNode) -> None:
    (cell,) = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert [line.split(" =")[0] for line in cell.source.splitlines()] == PARAMETERS


def test_cells_are_short(notebook: nbformat.NotebookNode) -> None:
    lengths = sorted(len(cell.source.splitlines()) for cell in code(notebook))
    assert lengths[-1] <= 25 and lengths[len(lengths) // 2] <= 9


def test_a_goal_the_result_first_checks_an_exercise_and_the_way_on(notebook: nbformat.NotebookNode) -> None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.startswith("# ") and "You will learn" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## The finished result first"
    assert "**Exercise.**" in text and "<summary>Solution</summary>" in text
    assert "**Next:**" in text or "**Read next:**" in text
    assert any("assert" in cell.source for cell in code(notebook))
