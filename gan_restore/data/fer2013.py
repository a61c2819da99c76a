"""FER2013's csv file, alone or in a zip archive."""

import csv
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from gan_restore.data.layouts import Split
from gan_restore.files import UserError

_SPLITS = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


def read_fer2013(path: Path, split: Split) -> tuple[np.ndarray, list[str], str]:
    """The faces of a split, N x 48 x 48 uint8; one name each, such as `Training/2`; and what to call the set.

    Raises:
        UserError: if the file cannot be read, is no FER2013 table, or has no row of the split.
    """
    wanted = set(_SPLITS.values()) if split == "all" else {_SPLITS[split]}
    faces, names = [], []
    try:
        with _csv_lines(path) as lines:
            rows = csv.DictReader(lines)
            missing = {"pixels", "Usage"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(
                    f"{path} has no column '{sorted(missing)[-1]}'; FER2013's header is emotion,pixels,Usage"
                )
            for number, row in enumerate(rows, start=2):
                if row["Usage"] in wanted:
                    faces.append(_face(path, number, row["pixels"]))
                    names.append(f"{row['Usage']}/{number}")
    except (
        OSError,
        EOFError,
        RuntimeError,
        UnicodeDecodeError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"cannot read {path}: {error}; download it again") from None
    if not faces:
        raise UserError(f"{path} has no rows of {' or '.join(sorted(wanted))}; download it again")
    return np.stack(faces), names, f"FER2013 {'all' if split == 'all' else _SPLITS[split]}"


def _csv_lines(path: Path) -> io.TextIOBase:
    if path.suffix.lower() == ".csv":
        return path.open(encoding="utf-8", newline="")
    archive = zipfile.ZipFile(path)
    inside = [name for name in archive.namelist() if Path(name).name.lower() == "fer2013.csv"]
    if not inside:
        raise UserError(f"no fer2013.csv inside {path}; unpack other archives first and give the folder")
    return io.TextIOWrapper(archive.open(inside[0]), encoding="utf-8", newline="")


def _face(path: Path, number: int, pixels: str | None) -> np.ndarray:
    try:
        face = np.array((pixels or "").split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise UserError(f"{path}, line {number}: pixels are not whole numbers; download it again") from None
    if face.size != 48 * 48 or face.min() < 0 or face.max() > 255:
        raise UserError(
            f"{path}, line {number}: {face.size} pixels, not 48 x 48 values from 0 to 255; download it again"
        )
    return face.astype(np.uint8).reshape(48, 48)
