"""Which photos `gan-restore restore` reads, and the files that it writes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gan_restore.files import UserError
from gan_restore.images import SUFFIXES, list_files, list_images, writable_names


def find_targets(photos: Sequence[str], out: Path) -> dict[Path, Path]:
    """The photo to restore into each target file.

    Args:
        photos: image files, folders of them, or patterns.
        out: the folder for the restored photos.

    Raises:
        UserError: If there is no photo, two photos have the same target, or a target is its own photo.
    """
    places = list(_found(photos))
    several = sum(path.is_dir() for path in places) > 1
    named: list[tuple[Path, Path]] = []
    for path in places:
        if path.is_dir():
            place = out / path.resolve().name if several else out
            named += [(place / file.relative_to(path), file) for file in _outside(out, path, list_images(path))]
        else:
            named.append((out / path.name, path))
    targets: dict[Path, Path] = {}
    for target, photo in named:
        other = targets.setdefault(target, photo)
        if other != photo:
            raise UserError(f"{other} and {photo} would both become {target}; restore them into different folders")
    targets = {
        Path(name): photo for name, photo in zip(writable_names(map(str, targets)), targets.values(), strict=True)
    }
    for target, photo in targets.items():
        if target.exists() and target.resolve() == photo.resolve():
            raise UserError(f"{photo} would be overwritten; choose another --out")
    if not targets:
        raise UserError(f"all images in {', '.join(photos)} are in {out} already; give other photos")
    return targets


def check_folder(out: Path) -> None:
    """Refuse an OUT that cannot be the folder of the results, before any photo is restored.

    Raises:
        UserError: If OUT or a folder above it is a file, or OUT does not exist and is named like an image.
    """
    existing = next(place for place in (out, *out.parents) if place.exists())
    if not existing.is_dir():
        raise UserError(f"--out is a folder, and {existing} is a file; give another one")
    if existing != out and out.suffix.lower() in SUFFIXES:
        hint = f"try --out {out.with_suffix('')}"
        raise UserError(f"--out is a folder, also for one photo, and {out} is named like an image; {hint}")


def other_files(photos: Sequence[str], out: Path) -> set[Path]:
    """The files in folders of photos whose suffix is not that of an image; arguments as for `find_targets`."""
    folders = [path for path in _found(photos) if path.is_dir()]
    files = [file for path in folders for file in _outside(out, path, list_files(path))]
    return {file for file in files if file.suffix.lower() not in SUFFIXES}


def _outside(out: Path, folder: Path, files: list[Path]) -> list[Path]:
    """The files that are not in OUT: if it is a subfolder of `folder`, those in it are from an earlier run."""
    out = out.resolve()
    return (
        [file for file in files if out not in file.resolve().parents] if folder.resolve() in out.parents else files
    )


def _found(photos: Sequence[str]) -> Iterator[Path]:
    """The photos and folders, with patterns replaced by what they match.

    Raises:
        UserError: If a pattern matches nothing.
    """
    for path in map(Path, photos):
        if path.exists() or not set("*?[") & set(str(path)):
            yield path
            continue
        matches = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not matches:
            raise UserError(f"no file matches {path}; check the pattern")
        yield from matches
