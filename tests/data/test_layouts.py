import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gan_restore.data.datasets import load
from gan_restore.data.layouts import find_items, split_of
from gan_restore.files import UserError


def test_a_folder_is_split_by_name_and_adding_moves_nothing(folder: Path) -> None:
    before = {name: split for split in ("train", "val", "test") for name in load(folder, split).names}
    assert len(before) == 30 == len(load(folder, "all"))
    for i in range(20):
        shutil.copy(folder / "photo_00.png", folder / f"added_{i}.png")
    after = {name: split for split in ("train", "val", "test") for name in load(folder, split).names}
    assert len(after) == 50 and all(after[name] == split for name, split in before.items())


def test_the_hash_gives_the_stated_shares() -> None:
    splits = [split_of(f"image_{i}") for i in range(5000)]
    assert splits.count("train") / 5000 == pytest.approx(0.8, abs=0.02)
    assert splits.count("val") / 5000 == pytest.approx(0.1, abs=0.015)
    assert all(split_of(f"IMAGE_{i}") == split_of(f"image_{i}") for i in range(20)), "upper case does not matter"


def test_folders_named_after_splits_are_kept(folder: Path) -> None:
    """FER2013's folder edition: train/<emotion>/ and test/<emotion>/; validation comes out of train."""
    root = folder.parent / "edition"
    for i, path in enumerate(sorted(folder.iterdir())):
        target = root / ("test" if i < 8 else "train") / "happy"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.name)
    splits = {split: set(load(root, split).names) for split in ("train", "val", "test")}
    assert len(splits["test"]) == 8 and all(name.startswith("test/") for name in splits["test"])
    assert all(name.startswith("train/") for name in splits["train"] | splits["val"])
    assert sum(map(len, splits.values())) == 30 and not splits["train"] & splits["val"]


def make(root: Path, *files: str) -> Path:
    """A folder of tiny images."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / file)
    return root


def celeba(root: Path, *files: str) -> Path:
    """A folder of tiny images with CelebA's list of 70."""
    make(root, *files)
    rows = "".join(f"{i:06d}.jpg,{i % 3}\n" for i in range(70))
    (root / "list_eval_partition.csv").write_text(f"image_id,partition\n{rows}")
    return root


def splits(root: Path) -> dict[str, str]:
    return {item.clean.relative_to(root).as_posix(): item.split for item in find_items(root)}


DIV2K, LFW = "DIV2K_train_HR/DIV2K_train_HR", "lfw-deepfunneled/lfw-deepfunneled"
TWO = ("clean", "damaged")
HUMAN, CELEBA = "humanface8000/landscape Images", "img_align_celeba/img_align_celeba"
LAYOUTS = {  # files to begin with, and files to add
    "plain": ([f"{i:05d}.png" for i in range(60)], ["more/x.png", "60.jpg"]),
    "FER2013": (
        [f"{split}/{mood}/{i}.jpg" for split in ("train", "test") for mood in ("sad", "happy") for i in range(20)],
        ["train/sad/x.jpg", "test/angry/x.jpg"],
    ),
    "DIV2K": (
        [f"{DIV2K}/{i:04d}.png" for i in range(1, 61)]
        + [f"DIV2K_valid_HR/DIV2K_valid_HR/{i:04d}.png" for i in range(801, 811)],
        [f"{DIV2K}/{i:04d}.png" for i in range(61, 70)],
    ),
    "DIV2K in a folder": (
        [f"sets/{DIV2K}/{i:04d}.png" for i in range(1, 61)]
        + [f"sets/DIV2K_valid_HR/DIV2K_valid_HR/{i:04d}.png" for i in range(801, 811)],
        [f"sets/{DIV2K}/{i:04d}.png" for i in range(61, 70)],
    ),
    "LFW": (
        [f"{LFW}/Person_{who}/Person_{who}_{i:04d}.jpg" for who in range(40) for i in (1, 2, 3)],
        [f"{LFW}/Person_1/Person_1_0004.jpg", f"{LFW}/Ada_L/Ada_L_0001.jpg", f"{LFW}/stray.jpg"],
    ),
    "HumanFace8000": (
        [f"{HUMAN}/{kind}/{i}.jpg" for kind in ("color", "gray") for i in range(60)],
        [f"{HUMAN}/{kind}/x{i}.jpg" for kind in ("color", "gray") for i in range(5)],
    ),
    "clean and degraded": (
        [f"clean/more/{i}.png" for i in range(60)] + [f"degraded/more/{i}.jpg" for i in range(60)],
        ["clean/x.png", "degraded/x.png"],
    ),
    "pairs in splits": (
        [f"{split}/{kind}/{i}.png" for split in ("train", "test") for kind in TWO for i in range(30)],
        ["train/clean/x.png", "train/damaged/x.png"],
    ),
    "splits in pairs": (
        [f"{kind}/{split}/{i}.png" for split in ("train", "test") for kind in TWO for i in range(30)],
        ["clean/train/x.png", "damaged/train/x.png"],
    ),
    "CelebA": ([f"{CELEBA}/{i:06d}.jpg" for i in range(60)], [f"{CELEBA}/{i:06d}.jpg" for i in range(60, 70)]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_image_is_in_two_splits_and_adding_moves_nothing(layout: str, tmp_path: Path) -> None:
    first, added = LAYOUTS[layout]
    build = celeba if layout == "CelebA" else make
    root = build(tmp_path / "set", *first)
    used = [path.relative_to(root).as_posix() for i in find_items(root) for path in (i.clean, i.degraded) if path]
    assert sorted(used) == sorted(first), "each image has one place"
    before = splits(root)
    assert set(before.values()) == {"train", "val", "test"}
    after = splits(build(root, *added))
    assert len(after) > len(before) and all(after[name] == split for name, split in before.items())


@pytest.mark.parametrize("layout", ["HumanFace8000", "clean and degraded", "pairs in splits", "splits in pairs"])
def test_a_pair_is_of_one_name(layout: str, tmp_path: Path) -> None:
    for item in find_items(make(tmp_path, *LAYOUTS[layout][0])):
        clean, degraded = item.clean.relative_to(tmp_path), item.degraded.relative_to(tmp_path)
        different = {pair for pair in zip(clean.parts[:-1], degraded.parts[:-1], strict=True) if len(set(pair)) > 1}
        assert clean.stem == degraded.stem and len(different) == 1
        assert different <= {("color", "gray"), ("clean", "degraded"), ("clean", "damaged")}


def test_a_person_is_in_one_split(tmp_path: Path) -> None:
    found = splits(make(tmp_path, *LAYOUTS["LFW"][0], *LAYOUTS["LFW"][1]))
    people = {}
    for name, split in found.items():
        people.setdefault(Path(name).parent.name, set()).add(split)
    assert all(len(people[f"Person_{who}"]) == 1 for who in range(40)) and len(found) == 123


def test_the_data_sets_own_splits_are_kept(tmp_path: Path) -> None:
    for layout in ("DIV2K", "DIV2K in a folder"):
        div2k = splits(make(tmp_path / layout, *LAYOUTS[layout][0]))
        assert all((split == "test") == ("DIV2K_valid_HR" in name) for name, split in div2k.items())
    faces = splits(celeba(tmp_path / "celeba", *LAYOUTS["CelebA"][0]))
    assert all(("train", "val", "test")[int(Path(name).stem) % 3] == split for name, split in faces.items())


def test_own_splits_without_train_stay_out_of_it(tmp_path: Path) -> None:
    found = splits(make(tmp_path, *(f"{split}/{i}.png" for split in ("val", "test") for i in range(30))))
    assert len(found) == 60 and all(name.startswith(split) for name, split in found.items())


def test_what_has_no_place_is_counted_and_named(tmp_path: Path, capsys) -> None:
    root = make(tmp_path / "pairs", "clean/a.png", "degraded/a.png", "clean/b.png", "degraded/c.png", "mask/a.png")
    assert [item.clean.name for item in find_items(root)] == ["a.png"]
    told = capsys.readouterr().err
    assert "left out 3 of 5 images" in told and "clean/b.png, degraded/c.png, mask/a.png" in told
    find_items(make(tmp_path / "splits", "train/a.png", "test/b.png", "DIV2K_train_LR_x2/a.png", "c.png"))
    told = capsys.readouterr().err
    assert "left out 2 of 4 images" in told and "outside the folders of the splits" in told and "c.png" in told
    find_items(celeba(tmp_path / "celeba", f"{CELEBA}/000001.jpg"))
    assert "69 of the 70 images in" in capsys.readouterr().err
    find_items(make(tmp_path / "plain", "clean/a.png", "other/b.png"))
    assert capsys.readouterr().err == ""


def test_layouts_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no image in .*color has a partner of the same name in .*gray"):
        find_items(make(tmp_path / "none", "color/a.png", "gray/b.png"))
    with pytest.raises(UserError, match=r"a\.jpg and .*a\.png have the same name"):
        find_items(make(tmp_path / "twice", "clean/a.png", "clean/a.jpg", "damaged/a.png"))
    with pytest.raises(UserError, match="does not list 1 of the 2 images"):
        find_items(celeba(tmp_path / "more", f"{CELEBA}/000001.jpg", f"{CELEBA}/999999.jpg"))
    for text in ("name,split\n", "image_id,partition\n000001.jpg,7\n", "image_id\n000001.jpg\n"):
        (tmp_path / "more" / "list_eval_partition.csv").write_text(text)
        with pytest.raises(UserError, match=r"columns image_id,partition|does not list"):
            find_items(tmp_path / "more")


@pytest.mark.parametrize("inner", ["img_align_celeba", CELEBA])
def test_celebas_list_is_found_from_its_inner_folders(tmp_path: Path, inner: str, monkeypatch) -> None:
    root = celeba(tmp_path / "celeba", *LAYOUTS["CelebA"][0])
    found = splits(root / inner)
    assert found and all(("train", "val", "test")[int(Path(name).stem) % 3] == found[name] for name in found)
    monkeypatch.chdir(root / inner)
    assert list(splits(Path()).values()) == list(found.values())


def test_a_list_of_other_images_in_a_folder_above_is_not_used(tmp_path: Path) -> None:
    root = celeba(tmp_path / "celeba", f"{CELEBA}/000001.jpg")
    make(root / "holiday", *(f"{i}.png" for i in range(40)))
    assert set(splits(root / "holiday").values()) == {"train", "val", "test"}
    make(root / "holiday", "000001.jpg")
    with pytest.raises(UserError, match="does not list 40 of the 41 images"):
        find_items(root / "holiday")


@pytest.mark.parametrize(
    "copy", ["_small", "-1024x768", " (1)", "@2x", "_copy", " - Copy (2)", "_thumb", " copy 2", "-SCALED"]
)
def test_copies_in_different_splits_are_told(tmp_path: Path, capsys, copy: str) -> None:
    torn = next(i for i in range(100) if split_of(f"IMG_{i}") != split_of(f"IMG_{i}{copy}"))
    find_items(make(tmp_path, f"IMG_{torn}.png", f"web/IMG_{torn}{copy}.jpg", "other.png", "IMG_7_2.png"))
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "1 photos have copies in different splits" in told
    assert f"IMG_{torn}.png" in told and f"IMG_{torn}{copy}.jpg" in told


def test_numbered_photos_and_copies_in_one_split_are_not_told(tmp_path: Path, capsys) -> None:
    find_items(make(tmp_path / "numbered", *(f"dog ({i}).png" for i in range(1, 60))))
    find_items(make(tmp_path / "sorted", "train/a.png", "train/a_small.png", "test/b.png"))
    find_items(make(tmp_path / "folders", "a.png", "thumbs/a.png"))
    assert capsys.readouterr().err == ""


def test_names_that_are_not_utf8_have_a_split(tmp_path: Path, capsys) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        make(tmp_path, f"{name}.png", "train/a.png", f"train/{name}.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert split_of(name) in ("train", "val", "test")
    photos = load(tmp_path, "train")
    assert len(photos) == 2 and all(name.encode() for name in photos.names)
    assert "left out 1 of 3" in capsys.readouterr().err
    (tmp_path / "train" / f"{name}.gif").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"udce9\.gif"):
        load(tmp_path, "train")
    assert len(load(tmp_path, "train", skip_unreadable=True)) == 2
    (tmp_path / "train").rename(tmp_path / name)
    assert len(load(tmp_path / name, "all", skip_unreadable=True)) == 2
