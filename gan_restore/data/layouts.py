"""The layouts of image folders: which damaged image belongs to a clean one, and which split a file belongs to.

These are known, wherever below the given folder their own folders begin:

- **Parts**: folders `train`, `val` (or `valid`, `validation`) and `test`, as in FER2013's folder edition, and
  DIV2K's `DIV2K_train_HR` and, as the test split, `DIV2K_valid_HR`. A split without a folder is taken from `train`.
- **Lists**: CelebA's `list_eval_partition.csv` at the top; images are found by their names at any depth.
- **Pairs**: folders `color` (clean) and `gray` (damaged) side by side, as in HumanFace8000, or `clean` and
  `degraded` or `damaged`, with files of the same names below them (the suffix may differ).
- **People**: files named after their folder and numbered, as LFW's `Ada_L/Ada_L_0001.jpg`, stay in one split.

Where no folder and no list decides, a hash of the name does (of the person's, where there is one), so that adding
files moves none from one split to another.
"""

import csv
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gan_restore.files import UserError
from gan_restore.images import list_images, name_below

Split = Literal["train", "val", "test", "all"]


# DIV2K gives no answers for its own test split, so the field measures on its validation split.
_SPLIT_FOLDERS = {
    **{"train": "train", "div2k_train_hr": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "div2k_valid_hr": "test"},
}


_PAIR_FOLDERS = (("color", "gray"), ("clean", "degraded"), ("clean", "damaged"))


_LIST = "list_eval_partition.csv"


_LIST_SPLITS = {"0": "train", "1": "val", "2": "test"}


@dataclass(frozen=True)
class Item:
    """A clean image file, its split, and the damaged file that belongs to it, if the data set has one."""

    clean: Path
    split: Split
    degraded: Path | None = None


def find_items(folder: Path) -> list[Item]:
    """The images below `folder`, sorted by path; what has no place in the layout is counted and named on stderr.

    Raises:
        UserError: if there are no images, no pair is whole, or a list of splits lacks an image or cannot be read.
    """
    images = list_images(folder)
    pairs = _pairs(folder, images)
    # A pair goes by the path that it would have without the two folders.
    found = pairs or {Path(name_below(folder, path)): (path, None) for path in images}
    file = folder / _LIST
    splits = _splits_by_list(file, list(found)) if file.is_file() else _splits_by_path(list(found))
    placed = [Item(clean, splits[name], degraded) for name, (clean, degraded) in found.items() if name in splits]
    used = {path for item in placed for path in (item.clean, item.degraded)}
    left = [name_below(folder, path) for path in images if path not in used]
    if left:
        why = "without a partner of the same name" if pairs else "outside the folders of the splits"
        print(f"left out {len(left)} of {len(images)} images in {folder}, {why}: {_some(left)}", file=sys.stderr)
    return placed


def split_of(name: str) -> Split:
    """The split of a file of this name (without folder and suffix): 80 % train, 10 % val, 10 % test."""
    share = int.from_bytes(hashlib.sha256(name.lower().encode()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _splits_by_path(names: list[Path]) -> dict[Path, Split]:
    """Parts by the outermost folder that names one; by the hash for the rest, if no folder names `train`."""
    folders = {
        name: next(
            (_SPLIT_FOLDERS[above.lower()] for above in name.parts[:-1] if above.lower() in _SPLIT_FOLDERS), None
        )
        for name in names
    }
    own = set(folders.values()) - {None}
    if "train" not in own:
        return {name: split or split_of(_who(name)) for name, split in folders.items()}
    splits = {}
    for name, split in folders.items():
        if split == "train":
            hashed = split_of(_who(name))
            splits[name] = "train" if hashed in own else hashed
        elif split:
            splits[name] = split
    return splits


def _who(name: Path) -> str:
    """The person that a file shows, if it is named after its folder and numbered, else the name of the file."""
    person = name.parent.name
    return person if person and re.fullmatch(re.escape(person) + r"_\d{4}", name.stem) else name.stem


def _splits_by_list(file: Path, names: list[Path]) -> dict[Path, Split]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            listed = {row["image_id"]: _LIST_SPLITS[row["partition"]] for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise UserError(
            f"cannot read {file}: {error}; CelebA's list has the columns image_id,partition (0, 1 or 2)"
        ) from None
    unknown = [str(name) for name in names if name.name not in listed]
    if unknown:
        raise UserError(
            f"{file} does not list {len(unknown)} of the {len(names)} images beside it: {_some(unknown)}; "
            "download the data set again, or move them away"
        )
    if len(listed) > len(names):
        print(f"{len(listed) - len(names)} of the {len(listed)} images in {file} are not there", file=sys.stderr)
    return {name: listed[name.name] for name in names}


def _pairs(folder: Path, images: list[Path]) -> dict[Path, tuple[Path, Path]]:
    """The clean and the damaged file of each whole pair; empty if the folder holds no pair of folders."""
    beside = {path.parent for path in images}
    inside = sorted({place for path in beside for place in (path, *path.parents) if place.is_relative_to(folder)})
    couples = [
        (place, place.with_name(damaged))
        for place in inside
        for clean, damaged in _PAIR_FOLDERS
        if place != folder and place.name == clean and place.with_name(damaged).is_dir()
    ]
    pairs = {}
    for clean, damaged in couples:
        ours, theirs = _by_name(clean), _by_name(damaged)
        where = clean.parent.relative_to(folder)
        pairs |= {where / ours[n].relative_to(clean): (ours[n], theirs[n]) for n in ours if n in theirs}
    if couples and not pairs:
        raise UserError(
            f"no image in {couples[0][0]} has a partner of the same name in {couples[0][1]}; rename them"
        )
    return pairs


def _by_name(side: Path) -> dict[Path, Path]:
    named: dict[Path, Path] = {}
    for path in list_images(side):
        other = named.setdefault(path.relative_to(side).with_suffix(""), path)
        if other is not path:
            raise UserError(f"{other} and {path} have the same name, so their partner is unclear; remove one")
    return named
