"""The training images of the models, prepared once: photos, faces, or both, with validation images held out."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from gan_restore.data.datasets import Images
from gan_restore.files import UserError, writing
from gan_restore.images import decode, list_images, to_tensor, write
from gan_restore.inference.models import TrainedOn

TrainingSet = Literal["photos", "faces", "prints", "portraits", "fer2013"]

LICENCES = {
    "bsd400": "research use",
    "sunhays80": "research use",
    "faces": "no terms known",
    "fer2013.zip": "unknown",
}
"""The terms of the data sets as far as known, as in docs/data_sets.md."""

_PREFIXES = {"bsd_": "bsd400", "sun_": "sunhays80"}
_HALF = "half_"
_LEAST_SIDE = 128  # of a halved image: the crops that `scratches` is trained on


def prepare(name: TrainingSet, data: Path, out: Path) -> Path:
    """Write the training images that are not there yet.

    - photos: those of bsd400, and those of sunhays80 at half their size, which removes most of their JPEG
      artefacts, as PNG. Sorted by name, every 32nd is in the validation split: 15 of 480.
    - faces: those of faces/train. Every 50th is in the validation split: 30 of 1,500.
    - prints: the photos, every third face, and half of the faces' validation split; training images of
      256 pixels and more are also there at half their size, because prints are scanned at every size.
    - portraits: the photos, and all faces. Networks that saw gray faces only spoil colours.
    - fer2013: its zip, which has splits of its own.

    Args:
        name: the set.
        data: the folder of the data sets.
        out: the folder to write to; each set becomes a folder with `train/` and `val/`.

    Returns:
        The `data` of a recipe.

    Raises:
        UserError: if a data set is missing or too small, or an image cannot be read or written.
    """
    if name == "fer2013":
        return data / "fer2013.zip"
    if name in ("prints", "portraits"):
        photos, faces = prepare("photos", data, out), _faces_of_prints(data) if name == "prints" else _faces(data)
        files = {path.relative_to(photos): path for path in list_images(photos)} | faces
        if name == "prints":
            train = {file: path for file, path in files.items() if file.parent.name == "train"}
            large = {file: path for file, path in train.items() if min(Image.open(path).size) >= 2 * _LEAST_SIDE}
            files |= {file.with_name(f"{_HALF}{file.stem}.png"): path for file, path in large.items()}
    else:
        files = _photos(data) if name == "photos" else _faces(data)
    if not any(file.parent.name == "val" for file in files):
        raise UserError(f"{data} holds {len(files)} images for '{name}', too few for a validation split")
    todo = {out / name / file: source for file, source in files.items() if not (out / name / file).exists()}
    for target, source in tqdm(todo.items(), f"preparing {name}", unit="image", disable=not todo):
        if target.name.startswith(_HALF):
            write(target, to_tensor(_halved(decode(source))))
        elif name == "photos":
            write(target, to_tensor(_photo(source)))
        else:
            with writing(target) as part:
                shutil.copyfile(source, part)
    return out / name


def sources(images: Images, name: TrainingSet) -> list[TrainedOn]:
    """The data sets that a training split was made from, with the number of images and the terms of each."""
    other = "fer2013.zip" if name == "fer2013" else "faces"
    names = (name for image in images.names if not (name := image.removeprefix("train/")).startswith(_HALF))
    counts = Counter(_PREFIXES.get(name[:4], other) for name in names)
    return [{"data": data, "images": count, "licence": LICENCES[data]} for data, count in counts.items()]


def _photos(data: Path) -> dict[Path, Path]:
    """File below the folder of the set -> its source."""
    folders = {prefix: list_images(data / folder) for prefix, folder in _PREFIXES.items()}
    found = {f"{prefix}{path.stem}.png": path for prefix, paths in folders.items() for path in paths}
    return {Path(_split(i % 32 == 31), file): found[file] for i, file in enumerate(sorted(found))}


def _faces(data: Path) -> dict[Path, Path]:
    paths = list_images(data / "faces" / "train")
    return {Path(_split(i % 50 == 25), path.name): path for i, path in enumerate(paths)}


def _faces_of_prints(data: Path) -> dict[Path, Path]:
    return {
        file.with_name(f"face_{file.name}"): path
        for i, (file, path) in enumerate(_faces(data).items())
        if (i % 100 == 25 if file.parent.name == "val" else i % 3 == 0)
    }


def _split(held_out: bool) -> str:
    return "val" if held_out else "train"


def _photo(source: Path) -> np.ndarray:
    """The pixels of a photo; of sunhays80, at half its size, which removes most of its JPEG artefacts."""
    photo = decode(source)
    return _halved(photo) if source.parent.name == "sunhays80" else photo


def _halved(photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    return np.array(Image.fromarray(photo).resize((width // 2, height // 2), Image.Resampling.BOX))
