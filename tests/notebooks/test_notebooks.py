"""What every notebook must have, checked on its source. `make course` executes them."""

import ast
from pathlib import Path

import nbformat
import pytest

import gan_restore

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PARAMETERS = ["recipe", "scale", "data_dir", "out_dir", "seed", "device"]


def test_the_notebooks_of_the_course() -> None:
    names = ["00_start_here", "01_data", "02_generator", "03_discriminator", "04_training", "05_evaluation"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_outputs_are_stripped(notebook: nbformat.NotebookNode) -> None:
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))


def test_one_cell_of_parameters(notebook: nbformat.NotebookNode) -> None:
    (cell,) = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    assert [line.split(" =")[0] for line in cell.source.splitlines()] == PARAMETERS


def test_library_names_come_from_the_top_of_the_package(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("gan_restore") for name in node.names), cell.source
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gan_restore"):
                assert node.module == "gan_restore", cell.source
                assert {name.name for name in node.names} <= set(gan_restore.__all__), cell.source


def test_cells_are_short(notebook: nbformat.NotebookNode) -> None:
    lengths = sorted(len(cell.source.splitlines()) for cell in code(notebook))
    assert lengths[-1] <= 25 and lengths[len(lengths) // 2] <= 9


def test_sections_that_every_notebook_has(notebook: nbformat.NotebookNode) -> None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.startswith("# ") and "You will learn" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## The finished result first"
    assert "**Exercise.**" in text and "<summary>Solution</summary>" in text
    assert "**Next:**" in text or "**Read next:**" in text
    assert any("assert" in cell.source for cell in code(notebook))
