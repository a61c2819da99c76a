"""The base class of the recipes: a frozen dataclass that holds every setting of one system."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.data.datasets import Images, load
from gan_restore.data.layouts import Split
from gan_restore.degradations.base import Degradation
from gan_restore.files import UserError
from gan_restore.losses.adversarial import Adversarial
from gan_restore.losses.perceptual import Perceptual
from gan_restore.losses.pixel import Pixel
from gan_restore.networks.blocks import Norm
from gan_restore.networks.discriminators import LocalDiscriminator
from gan_restore.recipes.checks import check_fields

Scale = Literal["smoke", "small", "full"]
LearningRateDecay = Literal["none", "cosine", "step"]
DiscriminatorKind = Literal["published", "local"]
DOWNLOAD = "python data_scripts/download_kaggle.py get"


def local_path() -> Any:
    """A field that holds a path on this machine, by default None; `Recipe.portable` leaves it out."""
    return dataclasses.field(default=None, metadata={"local_path": True})


@dataclass(frozen=True)
class Recipe:
    """The settings that all systems share; each subclass adds its damage, its networks and its defaults.

    The defaults of a subclass are the settings at scale `full`.

    Raises:
        UserError: if a value has the wrong type, is not one of the allowed words or is out of range, or if the
            values do not fit each other.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    data_sets: ClassVar[tuple[str, ...]]
    """Data sets to train on, by their names in data_scripts/download_kaggle.py, the preferred one first."""
    scales: ClassVar[dict[Scale, dict[str, Any]]]
    """For each scale, the fields that differ from the defaults."""
    robustness: ClassVar[tuple[str, tuple[float, ...]]]
    """A field of the damage and its values in the robustness sweep, from weaker to stronger than in training."""

    smallest: ClassVar[int] = 11
    """The least `image_size`: the side of the window of SSIM (structural similarity)."""

    scale: Scale = "full"
    """smoke: minutes on two CPU cores; small: about ten minutes on one GPU; full: the published settings."""
    data: str | None = local_path()
    """Folder, csv or zip of clean images; without it (at smoke only) the photos inside scikit-image."""
    start_from: str | None = local_path()
    """Checkpoint, run folder or model whose weights the generator starts from, as it would after a first stage."""
    seed: int = 0
    """Seed of all random numbers; the same seed gives the same run."""
    image_size: int = 128
    """Side of the square training crops in pixels. Only unet-denoiser enlarges smaller images to it."""
    square: int = 0
    """Crop the largest centred square of every image and resize it to this side; 0 leaves images as they are."""
    crops_per_image: int = 1
    """Random crops drawn from every image in an epoch."""
    augment: Augment = "none"
    """flip mirrors half of the crops; dihedral uses all eight flips and quarter turns."""
    toned: float = 0.0
    """Share of the training crops that look like other prints: gray, sepia, faded, dark (`degradations.toned`)."""
    undamaged: float = 0.0
    """Share of the training crops without damage, so that the network learns to leave such photos alone."""
    batch_size: int = 16
    """Images per step, over all devices together."""
    accumulate: int = 1
    """Number of equal parts that each device computes its batch in, one after another, to need less memory.
    BatchNorm normalises each part by itself; without it the result is the same."""
    gradient_clip: float = 0.0
    """Largest length of a network's gradient, which is shortened to it before each update; 0 leaves it."""
    epochs: int = 5
    """Number of epochs; each draws `crops_per_image` crops from every image."""
    learning_rate: float = 1e-3
    """Learning rate of Adam, for both networks."""
    discriminator_learning_rate: float = 0.0
    """Learning rate of the discriminator; 0 takes that of the generator."""
    beta1: float = 0.9
    """Adam's decay rate of the mean gradient; GANs often take 0.5."""
    lr_decay: LearningRateDecay = "none"
    """cosine lowers the learning rate to zero over each stage; step divides it by 10 halfway through the last."""
    ema: float = 0.0
    """Decay of the moving average of the generator's weights, which is validated and saved; 0 keeps none."""
    pixel_loss: Pixel = "mse"
    """Distance of the restored image to the clean one: mean squared or mean absolute (l1) error."""
    pixel_weight: float = 1.0
    """Weight of the pixel loss, computed on images in [0, 1]."""
    perceptual_weight: float = 0.0
    """Weight of the perceptual loss, a distance between features of a classifier; 0 loads no classifier."""
    perceptual_network: Perceptual = "vgg19"
    """The classifier: vgg19, as published, or efficientnet-lite0, whose weights come as a package."""
    vgg_weights: str | None = local_path()
    """File of VGG19's weights; without it torchvision's, downloaded once."""
    adversarial: Adversarial = "bce"
    """Adversarial loss; bce is binary cross-entropy."""
    adversarial_weight: float = 0.0
    """Weight of the adversarial loss; 0 trains no discriminator."""
    real_label: float = 1.0
    """Target of the discriminator for clean images; a value below 1 is one-sided label smoothing."""
    pretrain_epochs: int = 0
    """Epochs of the first stage, on the pixel loss alone; the adversarial stage takes the remaining epochs."""
    adversarial_learning_rate: float = 0.0
    """Learning rate in the adversarial stage; 0 keeps learning_rate."""
    width: int = 64
    """Channels of the generator's first convolution."""
    norm: Norm = "batch"
    """Normalisation layers in the generator."""
    residual: bool = False
    """Predict the correction to an initial estimate instead of the image."""
    discriminator_kind: DiscriminatorKind = "published"
    """published is the system's own; local judges textures (`networks.LocalDiscriminator`), with hinge."""
    discriminator_width: int = 64
    """Channels of the discriminator's first convolution."""
    val_images: int = 0
    """Number of validation images, a seeded sample of the split; 0 takes all."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.image_size < self.smallest:
            raise UserError(f"image_size must be at least {self.smallest}, not {self.image_size}")
        if not self.weights():
            raise UserError("the generator has no loss; set pixel_weight or another loss weight above 0")
        if self.undamaged and self.factor > 1:
            raise UserError("undamaged is for recipes that keep the size; leave it out of super-resolution")
        if self.pretrain_epochs and not self.pixel_weight:
            raise UserError(
                "the first stage trains on the pixel loss alone; set pixel_weight above 0 or pretrain_epochs to 0"
            )
        try:
            self.degradation()
        except ValueError as error:
            raise UserError(str(error)) from None

    @classmethod
    def get_data(cls) -> str:
        """The command that downloads the recipe's preferred data set, and how to pass it."""
        first, *others = cls.data_sets
        alternatives = f" (or {', '.join(others)})" if others else ""
        return f"run `{DOWNLOAD} {first}`{alternatives} and pass --data data/{first}"

    @property
    def factor(self) -> int:
        """The ratio of the restored image's side to the degraded one's."""
        return 1

    @property
    def crop_border(self) -> int:
        """Pixels cropped from each border before PSNR and SSIM: in super-resolution the factor, as published."""
        return self.factor if self.factor > 1 else 0

    @property
    def channel(self) -> Literal["RGB", "Y"]:
        """The channels that PSNR and SSIM are computed on: in super-resolution the luma (Y), as published."""
        return "Y" if self.factor > 1 else "RGB"

    @property
    def enlarge_to(self) -> int:
        """Images with a shorter side below this are enlarged to it before they are degraded; 0 enlarges none.

        Enlarged images are smooth, so a method scores higher on them than on photos. Only a recipe whose
        published protocol enlarges its images does so.
        """
        return 0

    @property
    def over_scales(self) -> int:
        """Larger images are restored over scales from this longer side on; 0: at their own size only.

        For damage that is the larger, the larger the scan (see `inference.restore_over_scales`). Images of less
        than 64 pixels are then restored enlarged.
        """
        return 0

    @property
    def keep_tone(self) -> bool:
        """Whether repaired pixels of gray and sepia photos get the tone of the photo (`inference.finishing`)."""
        return False

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
        """Whether a stage on the pixel loss alone precedes the adversarial stage: here or where it starts from."""
        first = 0 < self.pretrain_epochs < self.epochs or (self.start_from is not None and not self.pretrain_epochs)
        return first and (self.adversarial_weight > 0 or self.perceptual_weight > 0)

    @property
    def input_name(self) -> str:
        """The name of `as_input` in tables and figures."""
        return "bicubic enlargement" if self.factor > 1 else "degraded input"

    @property
    def min_side(self) -> int:
        """The least shorter side of a training image in pixels; smaller ones would have to be enlarged."""
        return max(self.image_size, self.square)

    def as_input(self, degraded: Tensor) -> Tensor:
        """The degraded image at the size of the clean one: N x 3 x H x W -> N x 3 x factor H x factor W."""
        return degraded

    def degradation(self) -> Degradation:
        """The damage that this system removes: (clean, torch.Generator) -> degraded, both in [0, 1].

        Raises:
            ValueError: if its settings are impossible.
        """
        raise NotImplementedError

    def generator(self) -> nn.Module:
        """A new generator: degraded N x 3 x H x W -> restored N x 3 x factor H x factor W, both in [0, 1]."""
        raise NotImplementedError

    def discriminator(self) -> nn.Module:
        """A new discriminator: (degraded, image) -> logits, N x 1 for an image or N x 1 x H' x W' for a map."""
        if self.discriminator_kind == "local":
            return LocalDiscriminator(self.discriminator_width)
        return self.published_discriminator()

    def published_discriminator(self) -> nn.Module:
        """The discriminator of the system as it was published, called like `discriminator`."""
        raise NotImplementedError

    def baselines(self) -> dict[str, Restoration]:
        """The classical methods for this damage, by name."""
        raise NotImplementedError

    def oracles(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Methods (degraded, mask) -> restored that are given the true mask of the damage, by name.

        They show what a perfect detection of the damage would bring. The recipe's degradation must then have
        `with_mask`.
        """
        return {}

    def square_of(self, split: Split) -> int:
        """The side that the images of a split are cropped and resized to; 0 leaves them as they are."""
        return self.square

    def images(self, split: Split, *, skip_unreadable: bool = False) -> Images:
        """The clean images of a split of this recipe's data, and their degraded ones if the data set has pairs.

        Args:
            split: "train", "val", "test" or "all".
            skip_unreadable: leave out damaged files instead of raising.

        Raises:
            UserError: if the data cannot be read or does not fit the recipe: a data set is missing at `small` or
                `full`, training images are too small, or super-resolution is given pairs of equal size.
        """
        if self.data is None and self.scale != "smoke":
            raise UserError(f"{self.name} at scale {self.scale} needs a data set: {self.get_data()}")
        if split == "train" and 0 < self.square < self.image_size:
            raise UserError(
                f"crops of {self.image_size} do not fit into squares of {self.square}; "
                "set square to 0 or to at least image_size"
            )
        images = load(
            self.data, split, square=self.square_of(split), min_side=self.min_side if split == "train" else 0,
            skip_unreadable=skip_unreadable,
        )  # fmt: skip
        if self.factor > 1 and images.degraded is not None:
            raise UserError(
                f"{self.data} holds pairs of images of one size, and {self.name} makes its own small images; "
                "pass the folder of the clean images"
            )
        return images

    def weights(self) -> dict[str, float]:
        """The weight of each term of the generator's loss, without the terms of weight 0."""
        weights = {
            "pixel": self.pixel_weight, "perceptual": self.perceptual_weight, "adversarial": self.adversarial_weight
        }  # fmt: skip
        return {term: weight for term, weight in weights.items() if weight}

    def local_paths(self) -> dict[str, Any]:
        """The fields that hold a path on this machine, such as `data`, and their values."""
        marked = [field.name for field in dataclasses.fields(self) if field.metadata.get("local_path")]
        return {name: getattr(self, name) for name in marked if getattr(self, name) is not None}

    def portable(self) -> Self:
        """This recipe without the paths on this machine, for files that leave it."""
        without: dict[str, Any] = dict.fromkeys(self.local_paths())
        return dataclasses.replace(self, **without)

    def to_dict(self) -> dict[str, Any]:
        """All fields and the recipe's name, as plain values for JSON."""
        return {"recipe": self.name, **dataclasses.asdict(self)}
