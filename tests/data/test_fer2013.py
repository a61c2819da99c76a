import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_restore.data import fer2013, store
from gan_restore.data.datasets import load
from gan_restore.files import UserError
from gan_restore.images import to_square


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines of the csv that were parsed, in order."""
    lines: list[int] = []
    real = fer2013._face
    monkeypatch.setattr(fer2013, "_face", lambda path, line, pixels: lines.append(line) or real(path, line, pixels))
    return lines


@pytest.mark.parametrize("suffix", [".csv", ".zip"])
def test_the_table_is_parsed_once_and_again_when_it_changes(
    fer_csv: Path, tmp_path: Path, parsed: list[int], suffix: str
) -> None:
    path = tmp_path / f"fer2013{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(fer_csv, "fer2013.csv")
    faces = {split: load(path, split) for split in ("train", "val", "test", "all")}
    assert parsed == list(range(2, 15))
    together = [face for split in ("train", "val", "test") for face in faces[split]]
    assert all(map(torch.equal, together, faces["all"])) and len(together) == 13
    assert faces["val"].names == ["PublicTest/10", "PublicTest/11", "PublicTest/12"]
    assert faces["all"].arrays[0].shape == (48, 48), "gray, one channel"
    os.utime(path, (1, 1))
    assert all(map(torch.equal, load(path, "all"), faces["all"])) and len(parsed) == 26


def test_squares_have_a_store_of_their_own(fer_csv: Path, parsed: list[int]) -> None:
    faces, large = load(fer_csv, "all"), load(fer_csv, "all", square=64)
    load(fer_csv, "train", square=64)
    assert len(parsed) == 26
    assert all(np.array_equal(to_square(a, 64), b) for a, b in zip(faces.arrays, large.arrays, strict=True))


def test_a_parse_that_was_stopped_is_not_trusted(fer_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SAVE_EVERY", 0.0)
    real = fer2013._face

    def stopped(path: Path, line: int, pixels: str | None) -> np.ndarray:
        if line == 8:
            raise KeyboardInterrupt
        return real(path, line, pixels)

    monkeypatch.setattr(fer2013, "_face", stopped)
    with pytest.raises(KeyboardInterrupt):
        load(fer_csv, "all")
    monkeypatch.setattr(fer2013, "_face", real)
    assert len(load(fer_csv, "all")) == 13


def test_a_store_of_faces_cannot_be_written(fer_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GAN_RESTORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="GAN_RESTORE_CACHE"):
        load(fer_csv, "all")
