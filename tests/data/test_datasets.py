import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_restore import data
from gan_restore.data.datasets import BUNDLED, Images, load
from gan_restore.data.layouts import split_of
from gan_restore.files import UserError
from gan_restore.images import write


def test_bundled_photos_are_all_there_and_in_one_split_each() -> None:
    names = [name for split in ("train", "val", "test") for name in load(None, split).names]
    assert len(names) == len(set(names)) == sum(map(len, BUNDLED.values())) == len(load(None, "all"))
    assert load(None, "test")[0].shape == (3, 512, 512) and load(None, "test")[0].dtype == torch.uint8


def test_fer2013_csv_alone_zipped_or_in_a_folder(fer_csv: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fer2013.zip", "w") as archive:
        archive.write(fer_csv, "fer2013/fer2013.csv")
    for path in (fer_csv, tmp_path / "fer2013.zip", tmp_path):
        assert [len(load(path, split)) for split in ("train", "val", "test", "all")] == [8, 3, 2, 13]
    first = np.array(fer_csv.read_text().splitlines()[1].split(",")[1].split(), np.uint8).reshape(48, 48)
    face = load(fer_csv, "train")
    assert face[0].shape == (3, 48, 48) and (face[0].numpy() == first).all()
    assert face.clean(0, size=128).shape == (1, 3, 128, 128)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("pixels", "pixel"), "no column 'pixels'"),
        (lambda text: text.replace("PrivateTest\n", "PrivateTest\n3,1 2 3,Training\n", 1), "line 14: 3 pixels"),
        (lambda text: text.replace(",Training", " 7,Training", 1), "line 2: 2305 pixels"),
        (lambda text: text.replace("3,", "3,x ", 1), "line 2: pixels are not whole numbers"),
        (lambda text: text.split("\n")[0], "no rows of Training"),
        (lambda text: "", "no column 'pixels'"),
    ],
)
def test_a_bad_csv_is_one_clear_line(fer_csv: Path, change, message: str) -> None:
    fer_csv.write_text(change(fer_csv.read_text()))
    with pytest.raises(UserError, match=message) as error:
        load(fer_csv, "train")
    assert str(fer_csv) in str(error.value) and "\n" not in str(error.value)


def test_what_is_not_data_is_said(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "bad.zip").write_text("x")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    cases = {
        tmp_path / "nowhere": "no such file or folder",
        tmp_path / "notes.txt": "neither a folder",
        tmp_path / "bad.zip": "cannot read",
        tmp_path / "other.zip": r"no fer2013\.csv inside",
    }
    for path, message in cases.items():
        with pytest.raises(UserError, match=message):
            load(path, "train")
    with pytest.raises(UserError, match="no split 'tset'"):
        load(folder, "tset")


def test_a_small_folder_says_which_split_is_empty(folder: Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(UserError, match=r"none of the images in .* falls into the split '(val|test)'"):
        load(folder, "val" if split_of("photo_00") != "val" else "test")
    assert len(load(folder, "all")) == 1


def test_a_truncated_jpeg_is_named_and_skipped_only_when_asked(folder: Path, capsys) -> None:
    write(folder / "whole.jpg", torch.rand(1, 3, 64, 64))
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:700])
    with pytest.raises(UserError, match=r"cut\.jpg.*1 of 32 images unreadable.*--skip-unreadable"):
        load(folder, "all")
    photos = load(folder, "all", skip_unreadable=True)
    assert len(photos) == 31 and [path.name for path in photos.unreadable] == ["cut.jpg"]
    said = capsys.readouterr().err
    assert "skipped 1 of 32 images, unreadable; first: " in said and "cut.jpg" in said


def test_a_crop_of_the_middle() -> None:
    assert data.load(None, "test").clean(1, crop=64).shape == (1, 3, 64, 64)


def test_an_encrypted_or_broken_zip_is_one_line(fer_csv: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(fer_csv, "fer2013.csv")
    whole = bytearray((tmp_path / "a.zip").read_bytes())
    whole[200:2000] = b"x" * 1800
    (tmp_path / "broken.zip").write_bytes(whole)
    with pytest.raises(UserError, match="download it again"):
        load(tmp_path / "broken.zip", "train")


def test_a_link_that_leads_nowhere_is_named(folder: Path) -> None:
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "a_folder.png").mkdir()
    with pytest.raises(UserError, match=r"gone\.png: No such file"):
        load(folder, "all")
    assert len(load(folder, "all", skip_unreadable=True)) == 30


def test_squares_are_cut_from_the_middle_whatever_the_source(folder: Path, fer_csv: Path, tmp_path: Path) -> None:
    for path, side in ((None, 32), (fer_csv, 24), (folder, 32), (folder, 80)):
        assert {image.shape for image in load(path, "all", square=side)} == {(3, side, side)}
    wide = torch.zeros(1, 3, 20, 60)
    wide[..., 20:40] = 1  # the middle square is white
    write(tmp_path / "wide" / "a.png", wide)
    assert (load(tmp_path / "wide", "all", square=10)[0] == 255).all()
    assert load(tmp_path / "wide", "all")[0].shape == (3, 20, 60), "the store of squares is another"


def test_pairs_are_prepared_alike() -> None:
    clean = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    images = Images([clean], ["a"], "one", degraded=[255 - clean])
    for sizes in ({}, {"crop": 7}, {"size": 33}, {"size": 33, "crop": 12}):
        first, second = images.pair(0, **sizes)
        assert torch.equal(first, images.clean(0, **sizes)) and first.shape == second.shape
        assert (first + second - 1).abs().max() <= 1.001 / 255
    assert Images([clean], ["a"], "one").pair(0)[1] is None


def test_a_pair_of_two_sizes_is_refused_and_an_unreadable_one_left_out(tmp_path: Path, capsys) -> None:
    for i in range(3):
        for kind in ("clean", "damaged"):
            write(tmp_path / kind / f"{i}.png", torch.full((1, 3, 12, 16), i / 10))
    assert len(load(tmp_path, "all").degraded) == 3
    (tmp_path / "damaged" / "0.png").write_bytes(b"no image")
    photos = load(tmp_path, "all", skip_unreadable=True)
    assert len(photos) == len(photos.degraded) == 2 and "skipped 1 of 6" in capsys.readouterr().err
    assert all(torch.equal(*photos.pair(i)) for i in range(2))
    write(tmp_path / "damaged" / "0.png", torch.zeros(1, 3, 12, 8))
    for square in (0, 10):
        with pytest.raises(UserError, match=r"clean.0\.png has 16 x 12 and .*damaged.0\.png 8 x 12"):
            load(tmp_path, "all", square=square)


def test_a_sample_is_drawn_over_the_whole_set_and_keeps_names_and_pairs(folder: Path) -> None:
    photos = load(folder, "all")
    sample = photos.sample(10, seed=3)
    assert len(sample) == len(sample.names) == 10 and sample.names == sorted(set(sample.names))
    assert sample.names != photos.names[:10] and sample.names == photos.sample(10, seed=3).names
    assert sample.names != photos.sample(10, seed=4).names
    whole = dict(zip(photos.names, photos, strict=True))
    assert all(torch.equal(whole[name], image) for name, image in zip(sample.names, sample, strict=True))
    assert all(photos.sample(count, seed=0) is photos for count in (0, 30, 99))
    clean = np.arange(20, dtype=np.uint8).repeat(12).reshape(20, 3, 4)
    pairs = Images(clean, [str(i) for i in range(20)], "numbers", degraded=list(clean + 100)).sample(5, seed=1)
    for i, name in enumerate(pairs.names):
        assert pairs.arrays[i][0, 0] == int(name) and pairs.degraded[i][0, 0] == int(name) + 100
    assert np.shares_memory(pairs.arrays[0], clean), "a sample copies no pixels"
