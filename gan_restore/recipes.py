"""The systems of the course. A recipe is a frozen dataclass that says everything about one of them.

The defaults of a recipe are the published settings, which are its scale `full`; `scales` lists what differs
at `smoke` (minutes on two CPU cores) and `small` (about ten minutes on one GPU). Change a run with
`dataclasses.replace`, a flag of the same name at the command line, or `get(name, scale, field=value)`.
"""

import dataclasses
import difflib
import math
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from gan_restore import baselines
from gan_restore.baselines import Restorer
from gan_restore.batches import Augment
from gan_restore.data import Images, Part, load
from gan_restore.degradations import Degradation, SaltAndPepper
from gan_restore.discriminators import DenoisingDiscriminator
from gan_restore.files import UserError
from gan_restore.generators import DenoisingUNet, Norm
from gan_restore.losses import Adversarial, Pixel

Scale = Literal["smoke", "small", "full"]

_SIZES = ("crops_per_image", "batch_size", "epochs", "width", "depth", "unshuffle", "discriminator_width")
_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_SIZES, (1, math.inf)),
    "image_size": (11, math.inf),  # SSIM's window
    "seed": (0, math.inf),
    "val_images": (0, math.inf),
    "learning_rate": (1e-12, 1),
    "adversarial_weight": (0, 1e6),
    "beta1": (0, 0.9999),
    "ema": (0, 0.999999),
    "dropout": (0, 0.99),
}


@dataclass(frozen=True)
class Recipe:
    """What all systems have in common; each subclass adds its damage and its networks."""

    name: ClassVar[str]
    title: ClassVar[str]
    get_data: ClassVar[str]
    scales: ClassVar[dict[Scale, dict[str, Any]]]

    scale: Scale = "full"
    """smoke: minutes on two CPU cores; small: about ten minutes on one GPU; full: the published settings."""
    data: str | None = None
    """Folder, csv or zip of clean images; none means the photos inside scikit-image (smoke only)."""
    seed: int = 0
    """Where all randomness starts: the same seed gives the same run."""
    image_size: int = 128
    """Side of the square training crops in pixels; smaller images are enlarged to it."""
    crops_per_image: int = 1
    """Crops taken of each image in an epoch."""
    augment: Augment = "none"
    """flip mirrors half the crops; dihedral also turns them by quarters."""
    batch_size: int = 16
    """Images a step, over all devices together."""
    epochs: int = 5
    """Times that every image is seen."""
    learning_rate: float = 1e-3
    """Adam's, for both networks."""
    beta1: float = 0.9
    """Adam's momentum; GANs often take 0.5."""
    lr_decay: Literal["none", "cosine"] = "none"
    """cosine lowers the learning rate to zero over the run."""
    ema: float = 0.0
    """Decay of the exponential moving average of the generator that is validated and kept; 0 keeps the last."""
    pixel_loss: Pixel = "mse"
    """How the distance to the clean image is measured."""
    adversarial: Adversarial = "bce"
    """How the two networks are played against each other."""
    adversarial_weight: float = 0.0
    """Weight of the adversarial loss beside the pixel loss; 0 trains no discriminator."""
    val_images: int = 0
    """Validate on the first so many images; 0 means all."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, (low, high) = getattr(self, field.name), _LIMITS.get(field.name, (None, None))
            if low is not None and not low <= value <= high:
                bounds = f"at least {low}" if high == math.inf else f"from {low} to {high}"
                raise UserError(f"{field.name} must be {bounds}, not {value}")
        try:
            self.degradation()
        except ValueError as error:
            raise UserError(str(error)) from None

    @property
    def crop_border(self) -> int:
        """Pixels left out at each border when measuring."""
        return 0

    def degradation(self) -> Degradation:
        """The damage this system undoes."""
        raise NotImplementedError

    def generator(self) -> nn.Module:
        """A new generator: degraded -> restored."""
        raise NotImplementedError

    def discriminator(self) -> nn.Module:
        """A new discriminator: (degraded, image) -> logits."""
        raise NotImplementedError

    def baselines(self) -> dict[str, Restorer]:
        """The classical restorers for this damage, by name."""
        raise NotImplementedError

    def images(self, part: Part, *, skip_unreadable: bool = False) -> Images:
        """The clean images of a part of this recipe's data.

        Raises:
            UserError: if there are none; at `small` and `full` also if no data set is named.
        """
        if self.data is None and self.scale != "smoke":
            raise UserError(f"{self.name} at scale {self.scale} needs a data set; {self.get_data}")
        return load(self.data, part, skip_unreadable=skip_unreadable)

    def to_dict(self) -> dict[str, Any]:
        """All fields and the recipe's name, as plain values for JSON."""
        return {"recipe": self.name, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class UnetDenoiser(Recipe):
    """Salt and pepper on small faces, undone by a U-Net (FER2013, 48 x 48 enlarged to 128 x 128)."""

    name: ClassVar[str] = "unet-denoiser"
    title: ClassVar[str] = "Salt-and-pepper denoiser"
    get_data: ClassVar[str] = (
        "get FER2013 with `python data_scripts/download_kaggle.py get fer2013-csv`, "
        "then pass --data data/fer2013-csv"
    )

    density: float = 0.06
    """Share of the pixels hit by noise."""
    salt: float = 0.5
    """Share of the hit pixels that become white; the others become black."""
    width: int = 64
    """Channels of the generator's first level; each level below has twice as many."""
    depth: int = 5
    """Levels of the generator."""
    dropout: float = 0.2
    """Dropout in the generator's blocks."""
    norm: Norm = "batch"
    """Normalisation in the generator's blocks."""
    residual: bool = False
    """Predict the correction to a first answer instead of the image."""
    mask_input: bool = False
    """Show the generator where the impulses are and change nothing else."""
    unshuffle: int = 1
    """Fold blocks of this many pixels a side into channels, for speed."""
    discriminator_width: int = 64
    """Channels of the discriminator's first convolution."""

    # docs/unet-denoiser.md has what each of these brings, as far as it was measured.
    improved: ClassVar[dict[str, Any]] = {
        "dropout": 0.0,
        "norm": "none",
        "residual": True,
        "mask_input": True,
        "unshuffle": 2,
        "lr_decay": "cosine",
    }
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {  # photos, not enlarged faces: no grid to exploit, and more to learn from each crop
            **improved,
            "unshuffle": 1,
            "width": 16,
            "depth": 3,
            "image_size": 64,
            "augment": "dihedral",
            "crops_per_image": 100,
            "batch_size": 8,
            "epochs": 8,
            "pixel_loss": "l1",
            "ema": 0.98,
            "adversarial_weight": 1e-5,
            "discriminator_width": 16,
        },
        "small": {
            **improved,
            "width": 32,
            "depth": 4,
            "augment": "flip",
            "batch_size": 8,
            "epochs": 7,
            "ema": 0.999,
            "val_images": 200,
        },
        "full": {},
    }

    def degradation(self) -> Degradation:
        return SaltAndPepper(self.density, self.salt)

    def generator(self) -> nn.Module:
        return DenoisingUNet(
            width=self.width,
            depth=self.depth,
            dropout=self.dropout,
            norm=self.norm,
            residual=self.residual,
            mask_input=self.mask_input,
            unshuffle=self.unshuffle,
        )

    def discriminator(self) -> nn.Module:
        return DenoisingDiscriminator(width=self.discriminator_width)

    def baselines(self) -> dict[str, Restorer]:
        return {
            "median 3x3": baselines.median,
            "adaptive median": baselines.adaptive_median,
            "non-local means": baselines.non_local_means,
            "biharmonic, all pure pixels": baselines.inpaint_impulses,
            "biharmonic, lone pure pixels": baselines.inpaint_likely_impulses,
        }


RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (UnetDenoiser,)}


def get(name: str, scale: Scale = "smoke", **changes: Any) -> Recipe:
    """The recipe `name` at `scale`, with single fields changed.

    Raises:
        UserError: if there is no such recipe, scale or field.

    Example:
        >>> get("unet-denoiser", "smoke", epochs=1).generator()
    """
    kind = RECIPES.get(name)
    if kind is None:
        raise UserError(f"no recipe '{name}'; choose one of {', '.join(RECIPES)}")
    if scale not in typing.get_args(Scale):
        raise UserError(f"no scale '{scale}'; choose one of {', '.join(typing.get_args(Scale))}")
    fields = {field.name for field in dataclasses.fields(kind)}
    for field in changes:
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see `gan-restore train {name} --help`"
            raise UserError(f"{name} has no field '{field}'; {hint}")
    return kind(**{"scale": scale, **kind.scales[scale], **changes})


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` wrote.

    Raises:
        UserError: if the values are not those of a recipe.
    """
    try:
        changes = dict(values)
        return get(changes.pop("recipe"), changes.pop("scale"), **changes)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a recipe: {error}") from None
