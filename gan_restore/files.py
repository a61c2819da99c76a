"""Files that appear whole or not at all, and the one error a user is meant to read."""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something only the user can mend: one line that says what is wrong, with what, and what to do next."""


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it becomes `path` only if the block succeeds.

    Missing parent folders are made. A full disk, a missing right or a folder in the way raises `UserError`,
    and leaves an older file of that name as it was.

    Example:
        >>> with writing("runs/results.json") as part:
        ...     part.write_text("[]")
    """
    path = Path(path)
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept because image and figure writers choose the format by it.
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        part = Path(name)
        # mkstemp makes a file private to its owner; the result should be as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        yield part
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from None
    except RuntimeError as error:
        # torch.save reports a failed write as a RuntimeError of its zip writer.
        if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
            raise
        raise UserError(
            f"cannot write {path}: the disk is full or the file is too large; free some space"
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as readable JSON, whole or not at all."""
    with writing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> object:
    """Read JSON from `path`; `UserError` if it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows as CSV; a column that a row lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with writing(path) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, float]]:
    """Read what `write_csv` wrote; empty cells are left out of their row."""
    try:
        with Path(path).open(newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
