"""The learner's copies of the notebooks, in which the solutions of the exercises are left out.

In a notebook the solution stands in a code cell with the tag `exercise`, between two markers::

    def psnr_by_hand(restored, clean):
        ### BEGIN SOLUTION
        return -10 * (restored - clean).square().mean((1, 2, 3)).log10()
        ### END SOLUTION

The course runs the solution. A copy raises an error at its place until the learner has written one.
"""

import ast
import copy
import hashlib
import re
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from gan_restore.files import UserError, install, writing

if TYPE_CHECKING:
    from nbformat import NotebookNode

_SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION *$", re.MULTILINE | re.DOTALL)
_KEY = "gan_restore_copy"  # in the metadata of a copy: the digest of its cells when it was written


def blank(notebook: "NotebookNode") -> "NotebookNode":
    """A copy of a notebook without outputs and without the solutions of its exercises.

    Inside a function a solution becomes `raise NotImplementedError`; at the left margin, the names that it defines
    become `...`. Calls of `exercises.check` become `exercises.feedback`, which prints what is wrong instead of
    stopping the notebook.

    Args:
        notebook: as nbformat reads it.

    Raises:
        ValueError: if a cell has a marker without its partner, or markers without the tag `exercise`.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = _SOLUTION.sub(_blanked, cell.source)
        if "### BEGIN SOLUTION" in cell.source or "### END SOLUTION" in cell.source:
            raise ValueError(f"a marker without its partner or without the tag 'exercise' in:\n{cell.source}")
        cell.source = cell.source.replace("exercises.check(", "exercises.feedback(")
    return notebook


def _blanked(solution: re.Match[str]) -> str:
    indentation, code = solution.groups()
    if indentation:
        return f'{indentation}raise NotImplementedError("Write your code here.")'
    names: list[str] = []
    for statement in ast.parse(textwrap.dedent(code)).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _is_set(node)]
    return "\n".join(f"{name} = ..." for name in names) or "..."


def _is_set(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def write_copies(notebooks: Path, out: Path, overwrite: bool = False) -> tuple[list[Path], list[Path]]:
    """Write the learner's copies of all notebooks, and the pictures that they show.

    A copy that the learner has changed or run stays as it is. A copy whose cells are as they were written is
    replaced if the notebook is a newer one.

    Args:
        notebooks: the folder of the notebooks, with their `pictures`.
        out: the folder of the copies.
        overwrite: replace changed copies too.

    Returns:
        The copies that were written, and those that the learner has changed.

    Raises:
        UserError: if there are no notebooks, nbformat is not installed or a file cannot be written.
    """
    try:
        import nbformat
    except ModuleNotFoundError:
        raise UserError(f"the notebooks need more packages: {install('course')}") from None
    sources = sorted(notebooks.glob("*.ipynb"))
    if not sources:
        raise UserError(f"no notebooks in {notebooks}; run this from a clone of the repository")
    written, kept = [], []
    for source in sources:
        fresh, target = blank(nbformat.read(source, as_version=4)), out / source.name
        fresh.metadata[_KEY] = _digest(fresh)
        if target.exists() and not overwrite:
            unchanged = _digest_if_unchanged(target)
            kept += [target] * (unchanged is None)
            if unchanged in (None, _digest(fresh)):
                continue
        with writing(target) as part:
            nbformat.write(fresh, part)
        written.append(target)
    if (notebooks / "pictures").is_dir():
        shutil.copytree(notebooks / "pictures", out / "pictures", dirs_exist_ok=True)
    return written, kept


def _digest_if_unchanged(path: Path) -> str | None:
    """The digest of a copy, or None if its cells are not those that were written."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # no notebook
        return None
    digest = _digest(notebook)
    return digest if digest == notebook.metadata.get(_KEY) else None


def _digest(notebook: "NotebookNode") -> str:
    text = "\0".join(cell.source for cell in notebook.cells)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
