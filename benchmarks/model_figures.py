"""The pictures of the models: what each does, where it fails, and what the adversarial loss adds to x4.

All are drawn from photos that are installed with scikit-image, so anybody can draw them again; no model was trained
on these photos. `python benchmarks/model_cards.py --figures` draws them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import skimage
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan_restore import figures, images, metrics
from gan_restore.degradations import (
    JPEG,
    Compose,
    GaussianBlur,
    GaussianNoise,
    LowResolution,
    OldPrint,
    SaltAndPepper,
    seeded,
)
from gan_restore.degradations.base import Degradation
from gan_restore.figures import Box
from gan_restore.inference import load_generator, load_restorer, model_names
from gan_restore.recipes.base import Recipe

CAPTION = (
    "The photos are installed with scikit-image, and no model was trained on them. Each number is the PSNR of the "
    "part that is shown, in RGB."
)


@dataclass(frozen=True)
class Example:
    """A part of a photo with some damage: one row of a picture.

    Attributes:
        words: what the damage is.
        photo: file name of one of scikit-image's photos.
        box: the part; it is cut out first, then damaged and restored.
        damage: of the model's recipe -> the damage.
    """

    words: str
    photo: str
    box: Box
    damage: Callable[[Recipe], Degradation] = lambda recipe: recipe.degradation()


def _then(more: Degradation) -> Callable[[Recipe], Degradation]:
    return lambda recipe: Compose(recipe.degradation(), more)


def _only(damage: Degradation) -> Callable[[Recipe], Degradation]:
    return lambda _: damage


def _hole(clean: Tensor, _: torch.Generator) -> Tensor:
    """A white square that covers the ninth part of an image."""
    height, width = clean.shape[-2:]
    lost = clean.clone()
    lost[..., height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    return lost


def _none(clean: Tensor, _: torch.Generator) -> Tensor:
    return clean


_CRACKS = OldPrint(scratches=4.0, width=3.0, blotches=0.0)
WOMAN, CAT, EYE, MAN = (140, 30, 160), (70, 20, 240), (100, 50, 120), (180, 60, 120)
CUP, GRASS, LETTERS, TRIPOD = (200, 80, 160), (180, 180, 120), (150, 60, 120), (250, 330, 148)

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "salt-pepper": (
        Example("25 % of the pixels", "coffee.png", CUP, _only(SaltAndPepper(0.25))),
        Example("6 % of the pixels", "camera.png", MAN, _only(SaltAndPepper(0.06))),
    ),
    "scratches": (
        Example("scratches, cracks", "astronaut.png", (0, 0, 512), _only(_CRACKS)),
        Example("stained, too", "camera.png", (120, 40, 240)),
    ),
    "photo": (
        Example("blur, noise, JPEG", "chelsea.png", CAT),
        Example("blur, noise, JPEG", "camera.png", MAN),
    ),
    "face": (
        Example("a poor portrait", "astronaut.png", WOMAN),
        Example("a poor portrait", "camera.png", MAN),
    ),
    "x2": (
        Example("half the size", "chelsea.png", (130, 70, 80)),
        Example("half the size", "camera.png", (200, 80, 80)),
    ),
    "x4": (
        Example("a quarter of the size", "astronaut.png", WOMAN),
        Example("a quarter of the size", "chelsea.png", EYE),
    ),
    "x4-gan": (
        Example("a quarter of the size", "chelsea.png", EYE),
        Example("a quarter of the size", "astronaut.png", (150, 30, 120)),
        Example("a quarter of the size", "grass.png", GRASS),
    ),
}
"""What each model does; the first example also stands in the picture of all models."""

FAILURES: dict[str, tuple[Example, ...]] = {
    "salt-pepper": (
        Example("then JPEG of quality 80", "chelsea.png", EYE, lambda _: Compose(SaltAndPepper(0.25), JPEG(80))),
        Example("Gaussian noise", "camera.png", MAN, _only(GaussianNoise(0.1))),
    ),
    "scratches": (
        Example("a large hole", "astronaut.png", WOMAN, _only(_hole)),
        Example("thin lines, undamaged", "camera.png", TRIPOD, _only(_none)),
    ),
    "photo": (
        Example("blur of 3 pixels", "astronaut.png", WOMAN, _only(GaussianBlur(3.0))),
        Example("strong noise", "coffee.png", CUP, _only(GaussianNoise(0.25))),
    ),
    "face": (
        Example("an eighth of the size", "astronaut.png", WOMAN, _only(LowResolution(8.0))),
        Example("no face", "grass.png", GRASS),
    ),
    "x2": (
        Example("then JPEG of quality 40", "chelsea.png", EYE, _then(JPEG(40))),
        Example("noise on the small image", "astronaut.png", WOMAN, _then(GaussianNoise(0.06))),
    ),
    "x4": (
        Example("then JPEG of quality 40", "chelsea.png", EYE, _then(JPEG(40))),
        Example("small letters", "page.png", LETTERS),
    ),
    "x4-gan": (
        Example("then JPEG of quality 40", "chelsea.png", EYE, _then(JPEG(40))),
        Example("small letters", "page.png", LETTERS),
    ),
}
"""Damage that the models cannot remove, and photos that they were not made for."""


def draw_all(folder: Path) -> None:
    """Draw NAME.jpg and NAME-limits.jpg for each model, all.jpg, and gan.jpg if there are x4 and x4-gan."""
    names = [name for name in EXAMPLES if name in model_names()]
    for name in names:
        _save(folder / f"{name}.jpg", [(name, example) for example in EXAMPLES[name]])
        _save(folder / f"{name}-limits.jpg", [(name, example) for example in FAILURES[name]])
    _save(folder / "all.jpg", [(name, EXAMPLES[name][0]) for name in names], with_names=True)
    if {"x4", "x4-gan"} <= set(names):
        figures.save_figure(pixel_loss_and_gan(), folder / "gan.jpg")


def _save(path: Path, rows: Sequence[tuple[str, Example]], with_names: bool = False) -> None:
    shown = [
        (f"{name}\n{example.words}" if with_names else example.words, restored(name, example))
        for name, example in rows
    ]
    figures.save_figure(figures.image_rows(shown), path)
    print(path)


def restored(name: str, example: Example) -> dict[str, Tensor]:
    """An example before and after, and the clean photo: title -> image, 1 x 3 x H x W in [0, 1]."""
    _, recipe, _ = load_generator(name)
    clean = part_of(example)
    degraded = example.damage(recipe)(clean, seeded(0))
    before, after = recipe.as_input(degraded), load_restorer(name)(degraded)
    return {_title("before", before, clean): before, _title("after", after, clean): after, "clean": clean}


def pixel_loss_and_gan() -> Figure:
    """The same parts of photos enlarged by x4 and by x4-gan, beside bicubic enlargement and the clean photo."""
    rows = []
    for example in EXAMPLES["x4-gan"]:
        _, recipe, _ = load_generator("x4")
        clean = part_of(example)
        small = recipe.degradation()(clean, seeded(0))
        answers = {
            "bicubic": recipe.as_input(small),
            "x4": load_restorer("x4")(small),
            "x4-gan": load_restorer("x4-gan")(small),
        }
        shown = {_title(method, answer, clean): answer for method, answer in answers.items()}
        rows.append((example.words, shown | {"clean": clean}))
    return figures.image_rows(rows)


def part_of(example: Example) -> Tensor:
    """The clean part of the photo that an example shows, 1 x 3 x side x side in [0, 1]."""
    left, top, side = example.box
    photo = images.read(Path(skimage.__file__).parent / "data" / example.photo)
    return photo[..., top : top + side, left : left + side]


def _title(words: str, image: Tensor, clean: Tensor) -> str:
    return words if image.equal(clean) else f"{words}, {metrics.psnr(image, clean).item():.1f} dB"
