import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_restore import cache, data
from gan_restore.data import BUNDLED, Batches, Images, load, part_of
from gan_restore.files import UserError


def test_bundled_photos_are_all_there_and_in_one_part_each() -> None:
    names = [name for part in ("train", "val", "test") for name in load(None, part).names]
    assert len(names) == len(set(names)) == sum(map(len, BUNDLED.values())) == len(load(None, "all"))
    assert load(None, "test")[0].shape == (3, 512, 512) and load(None, "test")[0].dtype == torch.uint8


def test_a_folder_is_split_by_name_and_adding_moves_nothing(folder: Path) -> None:
    before = {name: part for part in ("train", "val", "test") for name in load(folder, part).names}
    assert len(before) == 30 == len(load(folder, "all"))
    for i in range(20):
        shutil.copy(folder / "photo_00.png", folder / f"added_{i}.png")
    after = {name: part for part in ("train", "val", "test") for name in load(folder, part).names}
    assert len(after) == 50 and all(after[name] == part for name, part in before.items())


def test_the_hash_shares_out_as_stated() -> None:
    parts = [part_of(f"image_{i}") for i in range(5000)]
    assert parts.count("train") / 5000 == pytest.approx(0.8, abs=0.02)
    assert parts.count("val") / 5000 == pytest.approx(0.1, abs=0.015)


def test_folders_named_after_parts_are_kept(folder: Path) -> None:
    """FER2013's folder edition: train/<emotion>/ and test/<emotion>/; validation comes out of train."""
    root = folder.parent / "edition"
    for i, path in enumerate(sorted(folder.iterdir())):
        target = root / ("test" if i < 8 else "train") / "happy"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.name)
    parts = {part: set(load(root, part).names) for part in ("train", "val", "test")}
    assert len(parts["test"]) == 8 and all(name.startswith("test/") for name in parts["test"])
    assert all(name.startswith("train/") for name in parts["train"] | parts["val"])
    assert sum(map(len, parts.values())) == 30 and not parts["train"] & parts["val"]


def test_fer2013_csv_alone_zipped_or_in_a_folder(fer_csv: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fer2013.zip", "w") as archive:
        archive.write(fer_csv, "fer2013/fer2013.csv")
    for path in (fer_csv, tmp_path / "fer2013.zip", tmp_path):
        assert [len(load(path, part)) for part in ("train", "val", "test", "all")] == [8, 3, 2, 13]
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
    with pytest.raises(UserError, match="no part 'tset'"):
        load(folder, "tset")


def test_a_small_folder_says_which_part_is_empty(folder: Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(UserError, match=r"none of the images in .* falls into the part '(val|test)'"):
        load(folder, "val" if part_of("photo_00") != "val" else "test")
    assert len(load(folder, "all")) == 1


def test_a_truncated_jpeg_is_named_and_skipped_only_when_asked(folder: Path, capsys) -> None:
    from gan_restore.images import write

    write(folder / "whole.jpg", torch.rand(1, 3, 64, 64))
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:700])
    with pytest.raises(UserError, match=r"cut\.jpg.*1 of 32 images unreadable.*--skip-unreadable"):
        load(folder, "all")
    photos = load(folder, "all", skip_unreadable=True)
    assert len(photos) == 31 and [path.name for path in photos.unreadable] == ["cut.jpg"]
    said = capsys.readouterr().err
    assert "skipped 1 of 32 images, unreadable; first: " in said and "cut.jpg" in said


def test_images_are_decoded_once_and_again_when_they_change(folder: Path, monkeypatch) -> None:
    decoded = []
    real = cache.decode
    monkeypatch.setattr(cache, "decode", lambda path: decoded.append(path.name) or real(path))
    first = load(folder, "all")
    assert len(decoded) == 30
    shutil.copy(folder / "photo_01.png", folder / "photo_00.png")
    again = load(folder, "all")
    assert decoded[30:] == ["photo_00.png"]
    assert torch.equal(again[0], again[1]) and torch.equal(first[5], again[5])


def test_a_build_that_was_killed_is_not_trusted(folder: Path, own_cache: Path) -> None:
    first = [image.clone() for image in load(folder, "all")]
    (pixels,) = own_cache.rglob("pixels-*.bin")
    with pixels.open("ab") as file:  # bytes that no manifest speaks of
        file.write(b"x" * 1000)
    shutil.copy(folder / "photo_01.png", folder / "photo_30.png")
    assert torch.equal(load(folder, "all")[30], first[1])
    with pixels.open("r+b") as file:  # and a store cut short
        file.truncate(100)
    assert all(torch.equal(a, b) for a, b in zip(load(folder, "all"), first, strict=False))
    next(own_cache.rglob("manifest.json")).write_text("{")
    assert all(torch.equal(a, b) for a, b in zip(load(folder, "all"), first, strict=False))


def test_a_cache_that_cannot_be_written_is_said(folder: Path, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GAN_RESTORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="GAN_RESTORE_CACHE"):
        load(folder, "all")


def numbered(count: int, shape: tuple[int, ...] = (40, 50)) -> Images:
    return Images([np.full(shape, i, np.uint8) for i in range(count)], [str(i) for i in range(count)], "numbers")


def test_an_epoch_shows_every_image_and_a_batch_depends_on_its_number_only() -> None:
    batches = Batches(numbered(12), 8, 4, seed=1, crops_per_image=2)
    assert len(batches) == 6
    seen = np.concatenate([batches[step][:, 0, 0, 0].numpy() for step in range(6)])
    assert (np.bincount(seen) == 2).all()
    fresh = Batches(numbered(12), 8, 4, seed=1, crops_per_image=2)
    assert torch.equal(fresh[9], batches[9]) and not torch.equal(batches[0], batches[6])
    assert all(torch.equal(a, batches[i]) for i, a in zip(range(2, 5), batches.loader(2, 5), strict=True))


def test_processes_share_a_batch() -> None:
    whole = Batches(numbered(12), 8, 4)[1][:, 0, 0, 0].tolist()
    shares = [Batches(numbered(12), 8, 4, rank=rank, world=2)[1][:, 0, 0, 0].tolist() for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    with pytest.raises(UserError, match="cannot be shared by 3 devices"):
        Batches(numbered(12), 8, 4, world=3)


def test_small_images_are_enlarged() -> None:
    assert Batches(numbered(4, (20, 20)), 32, 4)[0].shape == (4, 1, 20, 20), "all alike: on the device"
    mixed = Images([np.zeros((20, 30, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)], ["a", "b"], "mixed")
    assert Batches(mixed, 32, 2)[0].shape == (2, 3, 32, 32)


def test_augmentation_turns_and_mirrors() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    batches = Batches(Images([picture], ["a"], "one"), 4, 1, augment="dihedral")
    seen = {bytes(batches[step].numpy().tobytes()) for step in range(100)}
    assert len(seen) == 8
    with_flips = Batches(Images([picture], ["a"], "one"), 4, 1, augment="flip")
    assert len({bytes(with_flips[step].numpy().tobytes()) for step in range(50)}) == 2


def test_a_crop_of_the_middle() -> None:
    assert data.load(None, "test").clean(1, crop=64).shape == (1, 3, 64, 64)


def test_a_name_decides_wherever_the_file_lies() -> None:
    names = [f"image_{i}.png" for i in range(50)]
    assert all(
        data._folder_part(Path("a/b") / name, {}) == data._folder_part(Path(name), {}) == part_of(Path(name).stem)
        for name in names
    )
    own = {"train": {"train"}, "val": {"val", "validation"}}
    assert data._folder_part(Path("val/x.png"), own) == data._folder_part(Path("validation/x.png"), own) == "val"


def test_small_images_that_are_not_square_give_square_crops() -> None:
    batches = Batches(numbered(4, (48, 60, 3)), 64, 4, augment="dihedral")
    assert all(batches[step].shape == (4, 3, 64, 64) for step in range(8))


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
