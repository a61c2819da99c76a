"""The layouts of image folders: which degraded image belongs to a clean one, and which split a file belongs to.

These layouts are recognised at any depth below the given folder:

- **Split folders**: `train`, `val` (or `valid`, `validation`) and `test`, as in FER2013's folder edition, and
  DIV2K's `DIV2K_train_HR` and, as the test split, `DIV2K_valid_HR`. A split without a folder is taken from `train`.
- **Lists**: CelebA's `list_eval_partition.csv` in the given folder, or one or two levels above it if it lists
  images of the folder. Images are found by their names at any depth.
- **Pairs**: folders `color` (clean) and `gray` (degraded) side by side, as in HumanFace8000, or `clean` and
  `degraded` or `damaged`, with files of the same names below them (the suffix may differ).
- **People**: files named after their folder and numbered, as LFW's `Ada_L/Ada_L_0001.jpg`, are in one split.

Where no folder and no list decides, a hash of the file's name does (of the person's name, if there is one), so that
adding files moves none to another split.
"""

import csv
import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from gan_restore.files import UserError, printable
from gan_restore.images import list_images, name_below

Split = Literal["train", "val", "test", "all"]

# DIV2K publishes no images for its test split, so results are measured on its validation split.
_SPLIT_FOLDERS: dict[str, Split] = {
    **{"train": "train", "div2k_train_hr": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "div2k_valid_hr": "test"},
}

_PAIR_FOLDERS = (("color", "gray"), ("clean", "degraded"), ("clean", "damaged"))

_LIST = "list_eval_partition.csv"
_LIST_SPLITS: dict[str, Split] = {"0": "train", "1": "val", "2": "test"}

# What programs and people append to the name of a copy: IMG_1_small, IMG_1-1024x768, IMG_1@2x, IMG_1 - Copy (2).
_COPY = re.compile(
    r"([-_ ]+(small|medium|large|thumb|thumbnail|scaled|resized|cropped|edited|copy( \d)?|\d+x\d+)"
    r"|@\dx|[-_ ]*\(\d+\))+$",
    re.IGNORECASE,
)
_MOST_COPIES = 6  # more files that differ by such an ending only, "dog (1)" to "dog (500)", are numbered photos


@dataclass(frozen=True)
class Item:
    """A clean image file, its split, and the degraded file that belongs to it, if the data set has one."""

    clean: Path
    split: Split
    degraded: Path | None = None


def find_items(folder: Path) -> list[Item]:
    """The images below `folder`, sorted by path.

    Images that have no place in the layout are counted and named on stderr, and so are images in different splits
    whose names suggest copies of one photo (`IMG_1` and `IMG_1_small`).

    Raises:
        UserError: If there are no images, no pair is complete, or a list of splits lacks an image or cannot be
            read.
    """
    images = list_images(folder)
    pairs = _pairs(folder, images)
    # The name of a pair is the path that its files would have without the folders `clean` and `degraded`.
    found: Mapping[Path, tuple[Path, Path | None]]
    found = pairs or {Path(name_below(folder, path)): (path, None) for path in images}
    splits = _splits_by_list(folder, list(found)) or _splits_by_path(list(found))
    _warn_of_copies(splits)
    placed = [Item(clean, splits[name], degraded) for name, (clean, degraded) in found.items() if name in splits]
    used = {path for item in placed for path in (item.clean, item.degraded)}
    left = [name_below(folder, path) for path in images if path not in used]
    if left:
        why = "without a partner of the same name" if pairs else "outside the folders of the splits"
        line = f"left out {len(left)} of {len(images)} images in {folder}, {why}: {_some(left)}"
        print(printable(line), file=sys.stderr)
    return placed


def split_of(name: str) -> Split:
    """The split of a file by a hash of its name: 80 % of all names are train, 10 % val and 10 % test.

    Args:
        name: Name of the file without folder and suffix; upper and lower case give the same split.

    Example:
        >>> split_of("IMG_0001")
        'train'
    """
    share = int.from_bytes(hashlib.sha256(printable(name.lower()).encode()).digest()[:4]) / 2**32
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _splits_by_path(names: list[Path]) -> dict[Path, Split]:
    """Splits by the outermost folder that names one; by the hash for the rest, if no folder names `train`."""
    folders: dict[Path, Split | None] = {
        name: next(
            (_SPLIT_FOLDERS[above.lower()] for above in name.parts[:-1] if above.lower() in _SPLIT_FOLDERS), None
        )
        for name in names
    }
    own = set(folders.values()) - {None}
    if "train" not in own:
        return {name: split or split_of(_who(name)) for name, split in folders.items()}
    splits: dict[Path, Split] = {}
    for name, split in folders.items():
        if split == "train":
            hashed = split_of(_who(name))
            splits[name] = "train" if hashed in own else hashed
        elif split:
            splits[name] = split
    return splits


def _who(name: Path) -> str:
    """The person that a file shows, if the file is named after its folder and numbered; else the file's name."""
    person = name.parent.name
    return person if person and re.fullmatch(re.escape(person) + r"_\d{4}", name.stem) else name.stem


@cache  # once for all splits of a data set
def _warn(line: str) -> None:
    print(printable(f"warning: {line}"), file=sys.stderr)


def _warn_of_copies(splits: dict[Path, Split]) -> None:
    """Warn of files in different splits whose names differ only by the ending of a copy."""
    stems = {name: name.stem.lower() for name in splits}
    # Most data sets have no such name at all, and the search ends here.
    originals = {_COPY.sub("", stem) for stem in stems.values() if _COPY.search(stem)} - {""}
    alike: dict[str, list[Path]] = {}
    for name in splits if originals else ():
        original = _COPY.sub("", stems[name])
        if original in originals:
            alike.setdefault(original, []).append(name)
    torn = [
        names
        for names in alike.values()
        if len(names) <= _MOST_COPIES and len({splits[name] for name in names}) > 1
    ]
    if torn:
        example = " and ".join(f"{name} ({splits[name]})" for name in torn[0][:3])
        _warn(
            f"by their names, {len(torn)} photos have copies in different splits, such as {example}; "
            "remove the copies, or sort all images into folders train, val and test"
        )


def _splits_by_list(folder: Path, names: list[Path]) -> dict[Path, Split]:
    """Splits by CelebA's list; empty if there is none."""
    places = (folder, *folder.resolve().parents[:2])
    file = next((place / _LIST for place in places if (place / _LIST).is_file()), None)
    if file is None:
        return {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            listed = {row["image_id"]: _LIST_SPLITS[row["partition"]] for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise UserError(
            f"cannot read {file}: {error}; CelebA's list has the columns image_id,partition (0, 1 or 2)"
        ) from None
    if file.parent != folder and not any(name.name in listed for name in names):
        return {}  # the list of other images
    unknown = [str(name) for name in names if name.name not in listed]
    if unknown:
        raise UserError(
            f"{file} does not list {len(unknown)} of the {len(names)} images in {folder}: {_some(unknown)}; "
            "download the data set again, or move them away"
        )
    if len(listed) > len(names):
        line = f"{len(listed) - len(names)} of the {len(listed)} images in {file} are not there"
        print(printable(line), file=sys.stderr)
    return {name: listed[name.name] for name in names}


def _pairs(folder: Path, images: list[Path]) -> dict[Path, tuple[Path, Path]]:
    """The clean and the degraded file of each complete pair; empty if the folder holds no pair of folders."""
    beside = {path.parent for path in images}
    inside = sorted({place for path in beside for place in (path, *path.parents) if place.is_relative_to(folder)})
    couples = [
        (place, place.with_name(damaged))
        for place in inside
        for clean, damaged in _PAIR_FOLDERS
        if place != folder and place.name == clean and place.with_name(damaged).is_dir()
    ]
    pairs: dict[Path, tuple[Path, Path]] = {}
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
    """The images below one folder of a pair, by their paths without suffix."""
    named: dict[Path, Path] = {}
    for path in list_images(side):
        other = named.setdefault(path.relative_to(side).with_suffix(""), path)
        if other is not path:
            raise UserError(f"{other} and {path} have the same name, so their partner is unclear; remove one")
    return named
