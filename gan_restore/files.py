"""Files that are written whole or not at all, and the error that is shown to the user without a traceback."""

import csv
import difflib
import io
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """An error that the user can mend. The message is one line: what is wrong, with which file, what to do next.

    Args:
        message: The line. File names in it are made `printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def install(extra: str) -> str:
    """What installs the packages of an extra; no package index has gan-restore itself.

    Example:
        >>> install("web")
        "pip install '.[web]' in the folder of gan-restore"
    """
    return f"pip install '.[{extra}]' in the folder of gan-restore"


def printable(text: str | Path) -> str:
    """Escape the bytes of file names that are not UTF-8, so that the text can be printed and written to files.

    Python keeps such bytes as lone surrogates, which no encoder accepts.

    Example:
        >>> import os
        >>> printable(os.fsdecode(b"caf\\xe9.png"))
        'caf\\\\udce9.png'
    """
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


class MemoryFile(io.BytesIO):
    """A file in memory, where a function takes a file's path.

    Args:
        name: Stands in messages. Its suffix chooses the format that is written.
        content: What is in the file.

    Example:
        >>> print(MemoryFile("photo.png", b"..."))
        photo.png
    """

    def __init__(self, name: str, content: bytes = b"") -> None:
        super().__init__(content)
        self.name = printable(name)

    def __str__(self) -> str:
        return self.name


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """A question for an error message that names the option most like `word`; empty if none is like it.

    Example:
        >>> did_you_mean("bacth", ["batch", "instance", "none"])
        ' (did you mean batch?)'
    """
    near = difflib.get_close_matches(str(word).lower(), list(options), 1)
    return f" (did you mean {near[0]}?)" if near else ""


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to. It becomes `path` only if the block succeeds.

    Missing parent folders are made. If the block fails, an older file at `path` stays as it was.

    Raises:
        UserError: If the file cannot be written: the disk is full, a right is missing, or a folder is in the way.
            Any `OSError` of the block becomes one; if it names another file, so does the message.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "results.json"
        ...     with writing(path) as part:
        ...         _ = part.write_text("[]")
        ...     path.read_text()
        '[]'
    """
    path = Path(path)
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept because image and figure writers choose the format by it.
        name = path.parent / f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}"
        name.touch(exist_ok=False)  # not by `tempfile`, whose files only their owner may read
        part = name
        yield part
        part.replace(path)
    except OSError as error:
        reason, other = error.strerror or error, error.filename
        if part is not None and other is not None and str(other) not in (str(part), str(path)):
            # The block failed to read or write another file.
            raise UserError(f"cannot write {path}: {reason}: {other}") from None
        raise UserError(f"cannot write {path}: {reason}; free some space or choose another folder") from None
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
    """Write `value` to `path` as indented JSON, whole or not at all.

    Raises:
        UserError: If the file cannot be written.
    """
    with writing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> object:
    """Read JSON from `path`.

    Raises:
        UserError: If the file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None


def write_csv(path: str | Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows of numbers as CSV, whole or not at all. A column that a row lacks stays empty.

    Raises:
        UserError: If the file cannot be written.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with writing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, float]]:
    """Read what `write_csv` wrote. Empty cells are left out of their row.

    Raises:
        UserError: If the file is missing or holds anything but numbers below its header.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is not a table of numbers: {error}") from None
