"""What every notebook must have, checked on its source. `make course` executes them."""

import ast
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
import torch

import gan_restore
from gan_restore.course import plan
from gan_restore.exercises import blank

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EVERY = ["recipe", "scale", "data_dir", "out_dir", "seed", "device"]
PARAMETERS = {"05_training": EVERY[1:], "06_evaluation": EVERY}  # the others: out_dir, seed, device


def test_the_notebooks_of_the_course() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted([*plan.ONCE, *plan.PER_RECIPE])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_outputs_are_stripped(notebook: nbformat.NotebookNode) -> None:
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))


def test_one_cell_of_parameters(path: Path, notebook: nbformat.NotebookNode) -> None:
    (cell,) = [cell for cell in code(notebook) if "parameters" in cell.metadata.get("tags", [])]
    names = [line.split(" =")[0] for line in cell.source.splitlines()]
    assert names == PARAMETERS.get(path.stem, EVERY[3:])


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
    assert text.startswith("# ")
    for part in ("**You need to know", "**Time:**", "You will be able to", "**What to see.**", "**Next:**"):
        assert part in text, part
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## The finished result first"
    assert [heading for heading in headings if heading in ("## Summary", "## Quiz", "## Exercises")] == [
        "## Summary", "## Quiz", "## Exercises",
    ]  # fmt: skip
    assert text.count("<summary>Answer</summary>") == 3 and "<summary>Solution</summary>" in text
    assert len(re.findall(r"\*\*Exercise \d|\*\*Exercises \d", text)) >= 3
    assert any("### BEGIN SOLUTION" in cell.source for cell in code(notebook)), "an exercise that checks itself"
    assert any("assert" in cell.source for cell in code(notebook))


def test_pictures_exist_and_say_what_they_show() -> None:
    shown = set()
    for path in NOTEBOOKS:
        text = "\n".join(
            cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
        )
        for description, name in re.findall(r"!\[([^]]*)\]\((pictures/[^)]*)\)", text):
            assert len(description) > 40, name
            shown.add(FOLDER / name)
    assert shown == set((FOLDER / "pictures").iterdir())
    for picture in shown:
        _, _, width, height = ElementTree.parse(picture).getroot().attrib["viewBox"].split()
        assert f'<rect width="{width}" height="{height}" fill="white"/>' in picture.read_text(), (
            "dark pages show it too"
        )


@pytest.fixture
def toy() -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / "03_a_gan_in_forty_lines.ipynb", as_version=4)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> str:
    return "\n".join(cell.source for cell in code(notebook) if tag in cell.metadata.get("tags", []))


def test_the_gan_in_forty_lines_has_forty_lines_and_no_library(toy: nbformat.NotebookNode) -> None:
    assert 30 < len([line for line in tagged(toy, "gan").splitlines() if line.strip()]) <= 45
    assert not any("gan_restore" in cell.source for cell in code(toy))


def test_the_gan_in_forty_lines_learns(toy: nbformat.NotebookNode) -> None:
    names: dict[str, Any] = {"seed": 0}
    exec(tagged(toy, "gan"), names)
    _, _, _, film = names["train"](steps=200)
    radius = film[-1].norm(dim=1)
    assert film[0].norm(dim=1).mean() < 1 < radius.mean() < 3, "the ring has a radius of 2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((), "Right"),
        (("-logits.mean()", "logits.mean()"), "hinge_g gives -0.333"),
        (("(1 - D(real))", "(1 + D(real))"), "Which sign"),
        (("(min=0).mean()", "(min=0)"), "take the mean"),
    ],
)
def test_the_exercise_checks_itself(
    toy: nbformat.NotebookNode, change: tuple[str, str] | tuple[()], said: str
) -> None:
    names: dict[str, Any] = {"torch": torch, "nn": torch.nn}
    exec(tagged(blank(toy), "exercise") + "\n" + tagged(toy, "checker"), names)
    assert names["check_hinge"]().startswith("Not yet: write both")
    solution = tagged(toy, "exercise")
    exec(solution.replace(*change) if change else solution, names)
    assert said in names["check_hinge"]()
