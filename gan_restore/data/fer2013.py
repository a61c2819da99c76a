"""FER2013's csv file, alone or in a zip archive: parsed once into a store (`data.store`)."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from gan_restore.data.layouts import Split
from gan_restore.data.store import CachedImages, open_store
from gan_restore.files import UserError
from gan_restore.images import to_square

_SPLITS = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


def read_fer2013(path: Path, split: Split, square: int = 0) -> tuple[CachedImages, list[str], str]:
    """Read the faces of a split. The file is parsed at the first call and when its size or time stamp changes.

    Args:
        path: `fer2013.csv`, or a zip archive that holds it.
        split: "train" reads the rows named Training, "val" PublicTest and "test" PrivateTest; "all" reads all.
        square: Side to which faces are resized; 0 keeps them as they are.

    Returns:
        The faces, uint8 48 x 48; a name for each, such as `Training/2` for line 2 of the csv; the name of the set.

    Raises:
        UserError: If the file cannot be read, is not FER2013's table, or has no row of the split.
    """
    wanted = set(_SPLITS.values()) if split == "all" else {_SPLITS[split]}
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; download it again") from None
    stamp = [stat.st_size, stat.st_mtime_ns]
    with open_store(path, square, channels=1) as store:
        if store.manifest.get("table") != stamp:  # noted only once every row is in the store
            store.clear()
            with store.appending() as appender:
                for name, face in tqdm(_rows(path), f"reading {path.name} once", unit="row", leave=False):
                    appender.add(name, stamp, to_square(face, square) if square else face, (48, 48))
                store.manifest["table"] = stamp
        names = [name for name in store.manifest["images"] if name.split("/")[0] in wanted]
        faces = store.images(names)
    if not names:
        raise UserError(f"{path} has no rows of {' or '.join(sorted(wanted))}; download it again")
    return faces, names, f"FER2013 {'all' if split == 'all' else _SPLITS[split]}"


def _rows(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the face of every row of the three splits."""
    try:
        with _csv_lines(path) as lines:
            rows = csv.DictReader(lines)
            missing = {"pixels", "Usage"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(
                    f"{path} has no column '{sorted(missing)[-1]}'; FER2013's header is emotion,pixels,Usage"
                )
            for number, row in enumerate(rows, start=2):
                if row["Usage"] in _SPLITS.values():
                    yield f"{row['Usage']}/{number}", _face(path, number, row["pixels"])
    except (
        *(OSError, EOFError, RuntimeError, UnicodeDecodeError),
        *(csv.Error, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise UserError(f"cannot read {path}: {error}; download it again") from None


def _csv_lines(path: Path) -> io.TextIOWrapper:
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
