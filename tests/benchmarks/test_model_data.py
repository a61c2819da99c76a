import shutil
from pathlib import Path

import numpy as np
import pytest
from model_data import LICENCES, prepare, sources

from gan_restore.data.datasets import load
from gan_restore.files import UserError
from gan_restore.images import decode, list_images


def test_photos_are_stored_once_and_every_32nd_is_for_validation(data_sets: Path, tmp_path: Path) -> None:
    photos = prepare("photos", data_sets, tmp_path / "out")
    names = sorted(path.name for path in photos.rglob("*.png"))
    assert names == [f"bsd_bs{i:02d}.png" for i in range(30)] + [f"sun_su{i:02d}.png" for i in range(4)]
    assert [path.name for path in (photos / "val").iterdir()] == [names[31]] == ["sun_su01.png"]
    kept = photos / "train" / "bsd_bs05.png"
    assert np.array_equal(decode(kept), decode(data_sets / "bsd400" / "bs05.png"))
    before = kept.stat().st_mtime_ns
    (photos / "train" / "bsd_bs06.png").unlink()
    prepare("photos", data_sets, tmp_path / "out")
    assert kept.stat().st_mtime_ns == before and (photos / "train" / "bsd_bs06.png").exists()


def test_large_photos_are_halved_by_the_mean_of_two_by_two_pixels(data_sets: Path, tmp_path: Path) -> None:
    photos = prepare("photos", data_sets, tmp_path / "out")
    halved, whole = decode(photos / "val" / "sun_su01.png"), decode(data_sets / "sunhays80" / "su01.png")
    blocks = whole.reshape(48, 2, 48, 2, 3).mean((1, 3))
    assert halved.shape == (48, 48, 3) and np.abs(halved - blocks).max() <= 1  # rounded twice


def test_prints_are_photos_and_faces_and_no_test_image(
    data_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("prints", data_sets, tmp_path / "small")
    assert not list((tmp_path / "small").rglob("half_*")), "images of 48 pixels are not halved"
    monkeypatch.setattr("model_data._LEAST_SIDE", 24)
    folder = prepare("prints", data_sets, tmp_path / "out")
    images = {split: load(folder, split) for split in ("train", "val")}
    assert images["val"].names == ["val/face_fa25.png", "val/sun_su01.png"]
    faces = sorted(path.name for path in (folder / "train").glob("face_*"))
    assert faces == [f"face_fa{i:02d}.png" for i in range(0, 32, 3)]
    halved = sorted(path.name for path in (folder / "train").glob("half_*"))
    assert len(halved) == 33 + len(faces) == len(list((folder / "train").iterdir())) / 2
    face = decode(folder / "train" / faces[0])
    assert decode(folder / "train" / f"half_{faces[0]}").shape[0] == face.shape[0] // 2
    found = sources(images["train"], "prints")
    assert {part["data"] for part in found} == {"bsd400", "sunhays80", "faces"}
    whole = [name for name in images["train"].names if "half_" not in name]
    assert sum(part["images"] for part in found) == len(whole) < len(images["train"])
    assert all(part["licence"] == LICENCES[part["data"]] for part in found)
    pixels = {array.tobytes() for part in images.values() for array in part.arrays}
    tests = [path for name in ("cbsd68", "set5", "faces/val") for path in (data_sets / name).iterdir()]
    assert tests and not pixels & {decode(path).tobytes() for path in tests}


def test_every_50th_face_is_for_validation(data_sets: Path, tmp_path: Path) -> None:
    faces = prepare("faces", data_sets, tmp_path / "out")
    assert [path.name for path in (faces / "val").iterdir()] == ["fa25.png"]
    assert len(list((faces / "train").iterdir())) == 31
    assert sources(load(faces, "train"), "faces")[0]["data"] == "faces"


def test_fer2013_is_read_from_its_zip(data_sets: Path, tmp_path: Path) -> None:
    path = prepare("fer2013", data_sets, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    faces = load(path, "train")
    assert sources(faces, "fer2013") == [{"data": "fer2013.zip", "images": 8, "licence": "unknown"}]


def test_too_few_images_are_refused(data_sets: Path, tmp_path: Path) -> None:
    shutil.copytree(data_sets / "cbsd68", tmp_path / "few" / "faces" / "train")
    with pytest.raises(UserError, match="3 images for 'faces', too few for a validation split"):
        prepare("faces", tmp_path / "few", tmp_path / "out")


def test_portraits_are_the_photos_and_all_training_faces(data_sets: Path, tmp_path: Path) -> None:
    names = {path.name for path in list_images(prepare("portraits", data_sets, tmp_path / "out"))}
    photos = {path.name for path in list_images(tmp_path / "out" / "photos")}
    assert photos < names and names - photos == {path.name for path in list_images(data_sets / "faces" / "train")}
