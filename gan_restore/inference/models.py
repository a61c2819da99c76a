"""The trained models that are part of the package: their names, their files and the types of their cards.

A model is a checkpoint (`checkpoints.save_generator`) in the folder `gan_restore/models`, with weights in half
precision and a `Card` among its facts, under the name "card". `checkpoints.load_generator` takes its name instead
of a path; `checkpoints.load_card` reads the card.
"""

from pathlib import Path
from typing import TypedDict

from gan_restore.files import UserError, did_you_mean

MODELS = Path(__file__).parents[1] / "models"
"""The folder of the models' files, NAME.safetensors each."""


class TrainedOn(TypedDict):
    """A data set that a model was trained on."""

    data: str
    """Its name in docs/data_sets.md."""
    images: int
    licence: str


class Score(TypedDict):
    """The scores of one method: the fields of the same names in `evaluation.Row`."""

    method: str
    kind: str
    """input, classical, oracle, or learned: that is the model, in one row only."""
    psnr: float
    ssim: float
    mse: float
    extra: dict[str, float]
    note: str


class Measured(TypedDict):
    """One table: every method on the same degraded images. The fields are those of `evaluation.Row`."""

    data: str
    n_images: int
    sizes: str
    preparation: str
    damage: str
    channel: str
    crop_border: int
    rows: list[Score]


class Undamaged(TypedDict):
    """How well a model leaves undamaged photos as they are."""

    data: str
    n_images: int
    psnr: float
    """Mean PSNR in dB of the model's output against its undamaged input. Super-resolution's output is shrunk to the
    size of its input first, by its recipe's own downsampling."""


class Sweep(TypedDict):
    """A robustness sweep, as `evaluation.robustness_sweep` measures it."""

    data: str
    n_images: int
    setting: str
    """The field of the recipe that was varied."""
    values: list[float]
    psnr: dict[str, list[float]]
    """Method -> mean PSNR in dB, one for each of `values`."""


class Card(TypedDict):
    """What a model's file says about it, besides its recipe and the facts that training writes."""

    purpose: str
    """What it restores, in one line."""
    trained_on: list[TrainedOn]
    steps: int
    minutes: float
    device: str
    precision: str
    versions: dict[str, str]
    commit: str | None
    measured: list[Measured]
    """Tables on images that the model was neither trained nor tuned on; the first stands for the model in lists."""
    undamaged: list[Undamaged]
    robustness: list[Sweep]


def model_names() -> list[str]:
    """The names of the models that are part of the package, sorted."""
    return sorted(path.stem for path in MODELS.glob("*.safetensors"))


def model_path(name: str) -> Path:
    """The file of a model.

    Raises:
        UserError: if there is no such model; it lists those that there are.
    """
    if name not in model_names():
        raise UserError(f"no model '{name}'{did_you_mean(name, model_names())}; {listed()}")
    return MODELS / f"{name}.safetensors"


def listed() -> str:
    """The names of the models as a phrase for error messages."""
    return f"the models are {', '.join(model_names())}" if model_names() else "this package holds no models"


def best_score(measured: Measured, kind: str) -> Score:
    """The row with the highest PSNR of a kind: the strongest classical method, the model or the input.

    Raises:
        ValueError: if there is no row of this kind.
    """
    return max((row for row in measured["rows"] if row["kind"] == kind), key=lambda row: row["psnr"])


def gain(measured: Measured) -> float:
    """PSNR of the model minus that of the strongest classical method on the same images, in dB.

    Example:
        >>> rows = [{"kind": "classical", "psnr": 30.0}, {"kind": "classical", "psnr": 29.0}]
        >>> gain({"rows": [*rows, {"kind": "learned", "psnr": 31.5}]})
        1.5
    """
    return best_score(measured, "learned")["psnr"] - best_score(measured, "classical")["psnr"]
