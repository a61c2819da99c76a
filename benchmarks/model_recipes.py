"""The models that benchmarks/train_models.py trains: recipe, training data, test sets, and what each must reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from model_data import TrainingSet
from torch import Tensor

from gan_restore.data.layouts import Split
from gan_restore.losses.perceptual import EfficientNetDistance
from gan_restore.metrics.fidelity import texture_distance
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import get as get_recipe

Size = Literal["cpu", "small"]

TEST_SETS: dict[str, tuple[str, Split]] = {
    "cbsd68": ("cbsd68", "all"),
    "set5": ("set5", "all"),
    "faces/val": ("faces/val", "all"),
    "fer2013.zip (PrivateTest)": ("fer2013.zip", "test"),
}
"""Name in tables -> path below DATA, and its split. None of these images trains a model or chooses its epoch."""
FER2013 = "fer2013.zip (PrivateTest)"


@cache
def _efficientnet() -> EfficientNetDistance:
    return EfficientNetDistance()


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "texture distance": texture_distance,
    "EfficientNet-lite0 distance": lambda restored, clean: _efficientnet().per_image(restored, clean),
}
"""Further metrics (restored, clean) -> N values, for models that are not judged by PSNR alone."""


@dataclass(frozen=True)
class Target:
    """A test set, the damage on it, and what the model must reach there."""

    data: str
    """A key of `TEST_SETS`."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe that differ from training, such as a fixed strength of the damage."""
    gain: float | None = None
    """The least gain over the strongest classical method in dB."""
    psnr: float | None = None
    """The least PSNR in dB."""
    published: str = ""
    """The PSNR in dB that a publication reports for this test set and damage, and where; by its own protocol."""

    @property
    def label(self) -> str:
        """The test set and the changed fields."""
        values = {
            name: f"{value:.3g}" if isinstance(value, float) else value for name, value in self.changes.items()
        }
        return ", ".join([self.data, *(f"{name} {value}" for name, value in values.items())])


@dataclass(frozen=True)
class Model:
    """How a model is trained, and what it is measured on."""

    recipe: str
    purpose: str
    """What it restores, in one line."""
    trained_on: TrainingSet
    """A set of `model_data.prepare`."""
    targets: tuple[Target, ...]
    """The first stands for the model in lists, and its images are those of the robustness sweep."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields that differ from the recipe's scale `small`, at both sizes."""
    cpu: dict[str, Any] = field(default_factory=dict)
    """Further fields that differ at the size cpu, for hours on one core."""
    small: dict[str, Any] = field(default_factory=dict)
    """Further fields that differ at the size small, for a GPU."""
    start_from: str = ""
    """Another model, whose weights training begins with."""
    start_share: float = 0.0
    """Share of the weights of `start_from` in the published ones, in [0, 1]. A mean of both often keeps what the
    first run could do and has most of what the second one learned (WiSE-FT, Wortsman et al. 2022)."""
    latest: bool = False
    """Publish the latest weights, not those with the highest validation PSNR. All validation images are damaged, so
    that PSNR does not show what undamaged crops teach."""
    undamaged: float = 40.0
    """The least PSNR in dB of the output against the input on undamaged images."""
    perceptual: bool = False
    """Whether the tables have the scores of `METRICS`, too."""
    part_of_package: bool = True
    """Whether the weights are published, or only the measurements."""

    def recipe_at(self, size: Size, data: Path, seed: int = 0, start_from: Path | None = None) -> Recipe:
        """The recipe at a size, trained on the images in `data`.

        Raises:
            UserError: if the recipe lacks a field or does not allow its value.
        """
        changes = self.changes | (self.cpu if size == "cpu" else self.small)
        paths = {"data": str(data.resolve())} | ({"start_from": str(start_from.resolve())} if start_from else {})
        return get_recipe(self.recipe, "small", seed=seed, **changes, **paths)


_ONE_CORE = {"width": 32, "batch_size": 8, "val_images": 0}
_PIXEL_LOSS_ALONE = {"adversarial_weight": 0.0}
_OF_THE_DISCRIMINATOR = {
    "adversarial", "adversarial_learning_rate", "discriminator_kind", "discriminator_learning_rate",
    "discriminator_width", "real_label",
}  # fmt: skip
_UNET = "37.19 (U-Net on the whole FER2013)"
_PUBLISHED_DAMAGE = {"blur_sigma": 0.8, "noise_sigma": 15 / 255, "jpeg_quality": 60}
_PHOTO = {
    "blur_sigma": (0.0, 1.5), "noise_sigma": (0.0, 25 / 255), "jpeg_quality": (40, 95), **_PIXEL_LOSS_ALONE,
}  # fmt: skip
_FACE = {"toned": 0.3, "augment": "dihedral", **_PIXEL_LOSS_ALONE}
_IMPULSES = {"pixel_loss": "l1", "unshuffle": 1, "depth": 3, "augment": "dihedral"}
_SIX_BLOCKS = {"blocks": 6, "image_size": 96}

MODELS: dict[str, Model] = {
    "salt-pepper-first": Model(
        "unet-denoiser",
        "photos with salt-and-pepper noise, after the first training",
        "photos",
        (Target("cbsd68", {"density": 0.06}), Target("cbsd68", {"density": 0.4})),
        changes={**_IMPULSES, "density": (0.01, 0.4)},
        cpu={**_ONE_CORE, "image_size": 96, "crops_per_image": 17, "epochs": 10, "learning_rate": 1e-3},
        small={"crops_per_image": 20},
        undamaged=60.0,
        part_of_package=False,
    ),
    "salt-pepper": Model(
        "unet-denoiser",
        "photos with salt-and-pepper noise of any density from 1 to 40 %",
        "photos",
        (
            Target("cbsd68", {"density": 0.06}, gain=0.8),
            Target("cbsd68", {"density": 0.25}, gain=1.5),
            Target("cbsd68", {"density": 0.4}, gain=1.5),
            # FER2013's faces are enlarged to image_size.
            Target(FER2013, {"density": 0.06, "image_size": 128}, published=_UNET),
        ),
        # Trained again, with denser noise: where less of the photo is left, there is more to learn.
        changes={**_IMPULSES, "density": (0.02, 0.45), "learning_rate": 7e-4},
        cpu={**_ONE_CORE, "image_size": 96, "crops_per_image": 17, "epochs": 10},
        small={"crops_per_image": 20},
        start_from="salt-pepper-first",
        undamaged=60.0,
    ),
    "scratches": Model(
        "pix2pix",
        "scratched, cracked and dusty photos and portraits, in colour, gray or sepia",
        "prints",
        (Target("cbsd68", gain=4.5), Target("faces/val", gain=4.5)),
        changes={"damage": "print", "toned": 0.5, "square": 0, "augment": "dihedral", **_PIXEL_LOSS_ALONE},
        cpu={
            **_ONE_CORE, "image_size": 128, "levels": 5, "crops_per_image": 8, "epochs": 14, "learning_rate": 7e-4,
        },
        small={"image_size": 128, "crops_per_image": 20, "width": 32, "levels": 5},
    ),
    "photo-damaged": Model(
        "resnet-gan",
        "soft, noisy photos with JPEG artefacts, all of them damaged",
        "photos",
        (Target("cbsd68", _PUBLISHED_DAMAGE),),
        changes={**_PHOTO, "undamaged": 0.0},
        cpu={**_ONE_CORE, **_SIX_BLOCKS, "crops_per_image": 20, "epochs": 12, "learning_rate": 7e-4},
        small={"width": 32},
        part_of_package=False,
    ),
    "photo": Model(
        "resnet-gan",
        "soft, noisy photos with JPEG artefacts, of a range of strengths",
        "photos",
        (Target("cbsd68", _PUBLISHED_DAMAGE, gain=0.6), Target("cbsd68", gain=1.0)),
        # A fifth of the crops is undamaged. Without them it changed undamaged photos more: 37 dB, not 41 (of 12).
        changes={**_PHOTO, "learning_rate": 3e-4},
        cpu={**_ONE_CORE, **_SIX_BLOCKS, "crops_per_image": 20, "epochs": 3},
        small={"width": 32, "epochs": 3},
        start_from="photo-damaged",
    ),
    "face-damaged": Model(
        "face-cgan",
        "low-quality faces, all of them damaged",
        "portraits",
        (Target("faces/val"),),
        changes={**_FACE, "undamaged": 0.0},
        cpu={**_ONE_CORE, **_SIX_BLOCKS, "crops_per_image": 5, "epochs": 10, "learning_rate": 7e-4},
        small={"width": 32},
        part_of_package=False,
    ),
    "face-second": Model(
        "face-cgan",
        "low-quality faces, after the second training",
        "portraits",
        (Target("faces/val"), Target("cbsd68")),
        # A fifth of the crops is undamaged. Without them it smoothed undamaged faces to 38 dB, and photos to 30 dB.
        changes={**_FACE, "learning_rate": 3e-4},
        cpu={**_ONE_CORE, **_SIX_BLOCKS, "crops_per_image": 5, "epochs": 2},
        small={"width": 32, "epochs": 4},
        start_from="face-damaged",
        part_of_package=False,
    ),
    "face": Model(
        "face-cgan",
        "low-quality faces, with unknown blur, noise, low resolution and JPEG artefacts",
        "prints",
        (Target("faces/val", gain=1.5), Target("cbsd68")),
        # More photos than faces, and half of the crops undamaged: before, photos other than faces were smoothed.
        # The share was chosen on validation images: it wins back a part of what faces lost.
        changes={**_FACE, "learning_rate": 5e-4, "undamaged": 0.5},
        cpu={**_ONE_CORE, **_SIX_BLOCKS, "crops_per_image": 5, "epochs": 4},
        small={"width": 32, "epochs": 4},
        start_from="face-second",
        start_share=0.3,
        latest=True,
    ),
    "x2-photos": Model(
        "srgan",
        "sharp photos to be enlarged twice",
        "photos",
        (Target("set5"),),
        changes={**_PIXEL_LOSS_ALONE, "upsample": "shuffle"},
        cpu={
            **_ONE_CORE, "blocks": 10, "crops_per_image": 43, "epochs": 8, "pretrain_epochs": 8,
            "learning_rate": 7e-4,
        },
        part_of_package=False,
    ),
    "x2": Model(
        "srgan",
        "photos to be enlarged twice",
        "prints",
        (Target("set5", psnr=37.6, published="37.99 (EDSR-baseline, 2017)"), Target("cbsd68")),
        # With faces that were enlarged before: trained on sharp photos alone, it sharpens those too much. A
        # quarter of the first weights wins back a part of what the second training lost on sharp photos (Set5).
        changes={**_PIXEL_LOSS_ALONE, "upsample": "shuffle", "learning_rate": 3e-4},
        cpu={**_ONE_CORE, "blocks": 10, "crops_per_image": 5, "epochs": 5, "pretrain_epochs": 5},
        small={"epochs": 4, "pretrain_epochs": 4},
        start_from="x2-photos",
        start_share=0.25,
    ),
    "x4": Model(
        "srgan",
        "photos to be enlarged four times, close to the original",
        "photos",
        (Target("set5", psnr=31.3, published="32.05 (SRResNet, 2017)"), Target("cbsd68")),
        changes={**_PIXEL_LOSS_ALONE, "enlarge": 4, "image_size": 128},
        cpu={
            **_ONE_CORE, "blocks": 10, "crops_per_image": 31, "epochs": 10, "pretrain_epochs": 10,
            "learning_rate": 7e-4,
        },
        perceptual=True,
    ),
    "x4-gan": Model(
        "srgan",
        "photos to be enlarged four times, with sharp textures",
        "photos",
        (Target("set5", published="29.40 (SRGAN, 2017)"), Target("cbsd68")),
        # The discriminator learns ten times as fast as the generator, so that it stays ahead and its gradient says
        # something. A larger perceptual weight draws a grid; a larger adversarial weight draws rings at edges.
        changes={
            "enlarge": 4, "image_size": 64, "pretrain_epochs": 0, "learning_rate": 1e-4, "beta1": 0.5,
            "adversarial_learning_rate": 0.0, "perceptual_network": "efficientnet-lite0", "perceptual_weight": 0.04,
        },
        cpu={**_ONE_CORE, "blocks": 10, "crops_per_image": 31, "epochs": 2},
        small={"epochs": 2},
        start_from="x4",
        perceptual=True,
    ),
    "fer2013": Model(
        "unet-denoiser",
        "FER2013's faces with salt-and-pepper noise, as in the publication",
        "fer2013",
        (Target(FER2013, published=_UNET),),
        undamaged=60.0,
        part_of_package=False,
    ),
}  # fmt: skip
"""Models by name. A model comes after the one that it starts from."""

SEVERAL_SEEDS = "x4-gan"
"""The model that `--seeds` trains with several seeds: half an hour each, from the weights of another model."""


def changes_of(recipe: Recipe) -> dict[str, Any]:
    """The fields that differ from the scale `small`, without paths, the seed and an unused discriminator's."""
    ours, small = (one.portable().to_dict() for one in (recipe, get_recipe(recipe.name, "small")))
    left_out = {"seed"} | (set() if recipe.adversarial_weight else _OF_THE_DISCRIMINATOR)
    left_out -= {"adversarial_learning_rate"} if recipe.perceptual_weight else set()
    return {name: value for name, value in ours.items() if value != small[name] and name not in left_out}
