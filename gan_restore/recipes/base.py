"""What a recipe is: a frozen dataclass that holds every setting of one system."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.data.datasets import Images, load
from gan_restore.data.layouts import Split
from gan_restore.degradations.base import Degradation
from gan_restore.files import UserError
from gan_restore.losses.adversarial import Adversarial
from gan_restore.losses.pixel import Pixel
from gan_restore.networks.blocks import Norm

Scale = Literal["smoke", "small", "full"]


_SIZES = ("crops_per_image", "batch_size", "epochs", "width", "depth", "unshuffle", "discriminator_width", "kernel")


_COUNTS = ("seed", "val_images", "square", "pretrain_epochs", "blocks", "down")


_WEIGHTS = ("pixel_weight", "adversarial_weight", "perceptual_weight")


_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_SIZES, (1, math.inf)),
    **dict.fromkeys(_COUNTS, (0, math.inf)),
    **dict.fromkeys(_WEIGHTS, (0, 1e6)),
    "learning_rate": (1e-12, 1),
    "discriminator_learning_rate": (0, 1),
    "adversarial_learning_rate": (0, 1),
    "real_label": (0.5, 1),
    "levels": (1, 8),
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
    robustness: ClassVar[tuple[str, tuple[float, ...]]]
    """A field of the damage and values for it, to see what happens away from what was trained on."""

    smallest: ClassVar[int] = 11
    """The least `image_size`: the side of SSIM's window."""

    scale: Scale = "full"
    """smoke: minutes on two CPU cores; small: about ten minutes on one GPU; full: the published settings."""
    data: str | None = None
    """Folder, csv or zip of clean images; none means the photos inside scikit-image (smoke only)."""
    seed: int = 0
    """Where all randomness starts: the same seed gives the same run."""
    image_size: int = 128
    """Side of the square training crops in pixels; smaller images are enlarged to it."""
    square: int = 0
    """Cut the middle square out of every image and resize it to this side first; 0 leaves images as they are."""
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
    discriminator_learning_rate: float = 0.0
    """Adam's for the discriminator, if it shall learn more slowly or faster; 0 takes the generator's."""
    beta1: float = 0.9
    """Adam's momentum; GANs often take 0.5."""
    lr_decay: Literal["none", "cosine"] = "none"
    """cosine lowers the learning rate to zero over the run."""
    ema: float = 0.0
    """Decay of the exponential moving average of the generator that is validated and kept; 0 keeps the last."""
    pixel_loss: Pixel = "mse"
    """How the distance to the clean image is measured."""
    pixel_weight: float = 1.0
    """Weight of the pixel loss, which is measured on [0, 1]."""
    perceptual_weight: float = 0.0
    """Weight of the distance between VGG19 features; 0 loads no VGG19."""
    vgg_weights: str | None = None
    """File of VGG19's weights; none takes torchvision's, downloaded once."""
    adversarial: Adversarial = "bce"
    """How the two networks are played against each other."""
    adversarial_weight: float = 0.0
    """Weight of the adversarial loss; 0 trains no discriminator."""
    real_label: float = 1.0
    """What the discriminator is asked to believe of clean images; 0.9 keeps it from being too sure."""
    pretrain_epochs: int = 0
    """Epochs of the first stage, on the pixel loss alone; the discriminator and VGG19 join after it, if ever."""
    adversarial_learning_rate: float = 0.0
    """Adam's from then on; 0 goes on with learning_rate."""
    width: int = 64
    """Channels of the generator's first convolution."""
    norm: Norm = "batch"
    """Normalisation in the generator."""
    residual: bool = False
    """Predict the correction to a first answer instead of the image."""
    discriminator_width: int = 64
    """Channels of the discriminator's first convolution."""
    val_images: int = 0
    """Validate on the first so many images; 0 means all."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, (low, high) = getattr(self, field.name), _LIMITS.get(field.name, (None, None))
            if field.name == "kernel" and value % 2 == 0:
                raise UserError(f"kernel must be odd, not {value}")
            if low is not None and not low <= value <= high:
                bounds = f"at least {low}" if high == math.inf else f"from {low} to {high}"
                raise UserError(f"{field.name} must be {bounds}, not {value}")
        if self.image_size < self.smallest:
            raise UserError(f"image_size must be at least {self.smallest}, not {self.image_size}")
        if not self.weights():
            raise UserError("a generator needs something to learn from: one of the loss weights must be above 0")
        if self.two_stages and not self.pixel_weight:
            raise UserError(
                "the first stage learns from the pixel loss alone: pixel_weight above 0, or pretrain_epochs 0"
            )
        try:
            self.degradation()
        except ValueError as error:
            raise UserError(str(error)) from None

    @property
    def factor(self) -> int:
        """How many times wider and higher the restored image is than the degraded one."""
        return 1

    @property
    def crop_border(self) -> int:
        """Pixels left out at each border when measuring: in super-resolution the factor, as published."""
        return self.factor if self.factor > 1 else 0

    @property
    def channel(self) -> Literal["RGB", "Y"]:
        """What is measured: all colours or, in super-resolution, the luma, as published."""
        return "Y" if self.factor > 1 else "RGB"

    @property
    def enlarge_to(self) -> int:
        """Images with a shorter side below this are enlarged to it before they are degraded; 0 enlarges none.

        Enlarged images are smooth, so a method scores higher on them than on photos. Only a recipe whose
        published protocol enlarges its images does so.
        """
        return 0

    @property
    def preparation(self) -> str:
        """What is done to a clean image before it is degraded and measured, as one phrase for tables."""
        steps = []
        if self.square:
            steps.append(f"largest centred square resized to {self.square} x {self.square} (bicubic)")
        if self.enlarge_to > self.square:
            steps.append(f"a shorter side below {self.enlarge_to} pixels enlarged to {self.enlarge_to} (bilinear)")
        if self.factor > 1:
            steps.append(f"cut to a multiple of {self.factor} pixels at the right and the bottom")
        return ", ".join(steps) or "images as they are"

    @property
    def two_stages(self) -> bool:
        """Whether a stage on the pixel loss alone comes before the adversarial one."""
        return 0 < self.pretrain_epochs < self.epochs and (
            self.adversarial_weight > 0 or self.perceptual_weight > 0
        )

    @property
    def input_name(self) -> str:
        """What `as_input` is called in tables and figures."""
        return "bicubic enlargement" if self.factor > 1 else "degraded input"

    def as_input(self, degraded: Tensor) -> Tensor:
        """The degraded image at the size of the clean one: what every restorer must beat."""
        return degraded

    def degradation(self) -> Degradation:
        """The damage this system undoes."""
        raise NotImplementedError

    def generator(self) -> nn.Module:
        """A new generator: degraded -> restored."""
        raise NotImplementedError

    def discriminator(self) -> nn.Module:
        """A new discriminator: (degraded, image) -> logits."""
        raise NotImplementedError

    def baselines(self) -> dict[str, Restoration]:
        """The classical methods for this damage, by name."""
        raise NotImplementedError

    def oracles(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Restorers (degraded, mask) -> restored that are told where the damage is, by name: no competitors.

        Recipes that have any need a degradation that has `with_mask`.
        """
        return {}

    def images(self, split: Split, *, skip_unreadable: bool = False) -> Images:
        """The clean images of a split of this recipe's data.

        Raises:
            UserError: if there are none; at `small` and `full` also if no data set is named.
        """
        if self.data is None and self.scale != "smoke":
            raise UserError(f"{self.name} at scale {self.scale} needs a data set; {self.get_data}")
        images = load(self.data, split, square=self.square, skip_unreadable=skip_unreadable)
        if self.factor > 1 and images.degraded is not None:
            raise UserError(
                f"{self.data} holds pairs of one size, and {self.name} makes its own small images; "
                "pass the folder of the clean ones"
            )
        return images

    def weights(self) -> dict[str, float]:
        """The weight of each term of the generator's loss; a term of weight 0 is left out."""
        weights = {
            "pixel": self.pixel_weight, "perceptual": self.perceptual_weight, "adversarial": self.adversarial_weight
        }  # fmt: skip
        return {term: weight for term, weight in weights.items() if weight}

    def to_dict(self) -> dict[str, Any]:
        """All fields and the recipe's name, as plain values for JSON."""
        return {"recipe": self.name, **dataclasses.asdict(self)}
