"""The five systems of the course.

The defaults of a recipe are the published settings, which are its scale `full`; what was not published is taken
from the paper that the system follows, and said. `scales` lists what differs at `smoke` (minutes on two CPU
cores) and `small` (about ten minutes on one GPU).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from gan_restore import baselines
from gan_restore.baselines import Restorer
from gan_restore.batches import Augment
from gan_restore.blocks import Upsampling
from gan_restore.degradations import (
    JPEG,
    BlindFace,
    Compose,
    Degradation,
    Downsample,
    GaussianBlur,
    GaussianNoise,
    SaltAndPepper,
)
from gan_restore.discriminators import Classifier, DenoisingDiscriminator, PatchGAN
from gan_restore.generators import DenoisingUNet, Pix2PixUNet, ResidualEncoderDecoder, SRResNet
from gan_restore.losses import Pixel
from gan_restore.recipe import Recipe, Scale
from gan_restore.scratches import Scratches, ScratchOverlay

# What the published networks lacked, beside each recipe's own options.
_IMPROVED: dict[str, Any] = {"norm": "none", "residual": True, "lr_decay": "cosine", "ema": 0.999}
# What keeps the game open: a slower discriminator that is not asked to be certain, and who leads.
_BALANCED: dict[str, Any] = {"discriminator_learning_rate": 1e-4, "real_label": 0.9, "pixel_weight": 100.0}
# Small networks, many crops of few photos.
_SMOKE: dict[str, Any] = {
    "width": 16, "discriminator_width": 16, "square": 0, "image_size": 64, "augment": "dihedral",
    "crops_per_image": 100, "batch_size": 8, "epochs": 6, "learning_rate": 1e-3, "ema": 0.98,
}  # fmt: skip
_GET = "python data_scripts/download_kaggle.py get"


@dataclass(frozen=True)
class UnetDenoiser(Recipe):
    """Salt and pepper on small faces, undone by a U-Net (FER2013, 48 x 48 enlarged to 128 x 128)."""

    name: ClassVar[str] = "unet-denoiser"
    title: ClassVar[str] = "Salt-and-pepper denoiser"
    get_data: ClassVar[str] = f"get FER2013 with `{_GET} fer2013-csv`, then pass --data data/fer2013-csv"

    density: float = 0.06
    """Share of the pixels hit by noise."""
    salt: float = 0.5
    """Share of the hit pixels that become white; the others become black."""
    depth: int = 5
    """Levels of the generator."""
    dropout: float = 0.2
    """Dropout in the generator's blocks."""
    mask_input: bool = False
    """Show the generator where the impulses are and change nothing else."""
    unshuffle: int = 1
    """Fold blocks of this many pixels a side into channels, for speed."""

    probe: ClassVar = ("density", (0.02, 0.06, 0.12, 0.25, 0.4))
    # docs/unet-denoiser.md has what each of these brings, as far as it was measured.
    improved: ClassVar[dict[str, Any]] = {**_IMPROVED, "dropout": 0.0, "mask_input": True, "unshuffle": 2}
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        # photos, not enlarged faces: no grid to exploit, and more to learn from each crop
        "smoke": {
            **improved, **_SMOKE, "unshuffle": 1, "depth": 3, "pixel_loss": "l1", "adversarial_weight": 1e-5,
        },
        "small": {
            **improved, "width": 32, "depth": 4, "augment": "flip", "batch_size": 8, "epochs": 7, "val_images": 200,
        },
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        return SaltAndPepper(self.density, self.salt)

    def generator(self) -> nn.Module:
        return DenoisingUNet(
            self.width, self.depth, self.dropout, self.norm, self.residual, self.mask_input, self.unshuffle
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


@dataclass(frozen=True)
class Pix2Pix(Recipe):
    """Scratched photographs, repaired by pix2pix (HumanFace8000, 256 x 256)."""

    name: ClassVar[str] = "pix2pix"
    title: ClassVar[str] = "Scratched photographs"
    get_data: ClassVar[str] = f"get HumanFace8000 with `{_GET} humanface8000`, then pass --data data/humanface8000"

    image_size: int = 256
    square: int = 256
    batch_size: int = 8
    epochs: int = 50
    learning_rate: float = 2e-4
    beta1: float = 0.5
    pixel_loss: Pixel = "l1"
    pixel_weight: float = 200.0  # the paper's 100, whose images are in [-1, 1] and errors twice as large
    adversarial_weight: float = 1.0

    noise_sigma: float = 5 / 255
    """Standard deviation of the noise beside the scratches, where the data brings no damaged images itself."""
    overlays: str | None = None
    """Folder of scratch images to lay over, beside the drawn scratches."""
    levels: int = 8
    """Halvings in the generator."""
    dropout: float = 0.5
    """Dropout in the first three decoder blocks."""
    upsample: Upsampling = "transposed"
    """How the decoder enlarges."""
    show_marks: bool = False
    """Show the generator what is thin and stands out."""

    smallest: ClassVar = 24  # for the PatchGAN
    probe: ClassVar = ("noise_sigma", (0.0, 0.02, 0.05, 0.1, 0.15))
    improved: ClassVar[dict[str, Any]] = {
        **_IMPROVED, **_BALANCED, "dropout": 0.0, "adversarial_weight": 0.1, "show_marks": True,
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {
            **improved, **_SMOKE, "image_size": 96, "levels": 4, "width": 24, "learning_rate": 2e-3,
        },
        "small": {**improved, "augment": "flip", "epochs": 10, "val_images": 200},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        overlay = [ScratchOverlay(self.overlays)] if self.overlays else []
        return Compose(GaussianNoise(self.noise_sigma), Scratches(), *overlay)

    def generator(self) -> nn.Module:
        return Pix2PixUNet(
            self.width, self.levels, self.dropout, self.norm, self.upsample, self.residual, self.show_marks
        )

    def discriminator(self) -> nn.Module:
        return PatchGAN(self.discriminator_width)

    def baselines(self) -> dict[str, Restorer]:
        return {
            "median 3x3": baselines.median,
            "non-local means": baselines.non_local_means_for_noise,
            "biharmonic, detected scratches": baselines.inpaint_scratches,
            "biharmonic, then sliding DCT": lambda degraded: baselines.sliding_dct(
                baselines.inpaint_scratches(degraded)
            ),
        }

    def oracles(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        return {"biharmonic, true mask": baselines.inpaint_known}


@dataclass(frozen=True)
class EncoderDecoderRecipe(Recipe):
    """What the recipes with a `ResidualEncoderDecoder` share."""

    down: int = 2
    """Halvings before the residual blocks, and upsampling layers after them."""
    blocks: int = 9
    """Residual blocks."""
    upsample: Upsampling = "transposed"
    """How the generator enlarges."""
    kernel: int = 7
    """Side of the first and the last convolution."""
    skips: bool = False
    """Add the features before each halving to those after the upsampling."""

    def generator(self) -> nn.Module:
        return ResidualEncoderDecoder(
            self.width, self.down, self.blocks, self.norm, self.upsample, self.residual, self.kernel, self.skips
        )


@dataclass(frozen=True)
class ResnetGan(EncoderDecoderRecipe):
    """Low-quality photos (soft, noisy, JPEG), mended by a residual encoder-decoder (DIV2K)."""

    name: ClassVar[str] = "resnet-gan"
    title: ClassVar[str] = "Low-quality photos"
    get_data: ClassVar[str] = f"get DIV2K with `{_GET} div2k`, then pass --data data/div2k"

    # Nothing was published of these; batch, rate and momentum as in CycleGAN, whose generator it is.
    image_size: int = 128
    augment: Augment = "flip"
    epochs: int = 50
    crops_per_image: int = 20
    learning_rate: float = 2e-4
    beta1: float = 0.5
    adversarial_weight: float = 1e-3

    blur_sigma: float = 0.8
    """Standard deviation of the blur in pixels."""
    noise_sigma: float = 15 / 255
    """Standard deviation of the noise on the scale from 0 to 1."""
    jpeg_quality: int = 60
    """Quality of the JPEG file, 1 to 100."""

    probe: ClassVar = ("noise_sigma", (0.0, 0.03, 0.06, 0.1, 0.15))
    improved: ClassVar[dict[str, Any]] = {
        **_IMPROVED,
        "skips": True,
        "kernel": 3,
        "pixel_loss": "l1",
        "augment": "dihedral",
    }
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {**improved, **_SMOKE, "blocks": 4},
        "small": {**improved, "epochs": 10, "val_images": 20},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        return Compose(GaussianBlur(self.blur_sigma), GaussianNoise(self.noise_sigma), JPEG(self.jpeg_quality))

    def discriminator(self) -> nn.Module:
        return Classifier([(self.discriminator_width * 2**level, 2) for level in range(4)], kernel=4)

    def baselines(self) -> dict[str, Restorer]:
        blur, noise = self.blur_sigma, self.noise_sigma
        return {
            "median 3x3": baselines.median,
            "total variation": baselines.total_variation,
            "bilateral": baselines.bilateral,
            "non-local means": baselines.non_local_means_for_noise,
            "sliding DCT": lambda degraded: baselines.sliding_dct(degraded, noise),
            "Wiener": baselines.wiener(blur, 0.1),
            "Richardson-Lucy": baselines.richardson_lucy(blur, 3),
            "NLM and DCT, then Wiener": baselines.denoise_and_sharpen(blur, noise),
        }


@dataclass(frozen=True)
class FaceCgan(EncoderDecoderRecipe):
    """Low-quality faces (blurred, small, noisy, JPEG; blind), restored by a conditional GAN (CelebA, LFW, FFHQ)."""

    name: ClassVar[str] = "face-cgan"
    title: ClassVar[str] = "Low-quality faces"
    get_data: ClassVar[str] = f"get CelebA with `{_GET} celeba` (or lfw, ffhq), then pass --data data/celeba"

    # Nothing was published of these; batch, rate, momentum and weights as in pix2pix, the first conditional GAN.
    square: int = 128
    augment: Augment = "flip"
    epochs: int = 20
    learning_rate: float = 2e-4
    beta1: float = 0.5
    pixel_loss: Pixel = "l1"
    pixel_weight: float = 200.0  # as pix2pix
    adversarial_weight: float = 1.0

    down: int = 3
    blocks: int = 0
    upsample: Upsampling = "resize"

    largest_factor: float = 2.5
    """Faces are shrunk by 1 to this factor."""

    probe: ClassVar = ("largest_factor", (1.0, 2.5, 4.0, 6.0))
    improved: ClassVar[dict[str, Any]] = {
        **_IMPROVED, **_BALANCED, "skips": True, "down": 2, "blocks": 8, "kernel": 3, "adversarial_weight": 0.1,
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {**improved, **_SMOKE, "blocks": 4},
        "small": {**improved, "epochs": 10, "val_images": 200},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        return BlindFace(factor=(1.0, self.largest_factor))

    def discriminator(self) -> nn.Module:
        convolutions = [(self.discriminator_width * 2**level, 2) for level in range(4)]
        dense = [16 * self.discriminator_width]
        return Classifier(convolutions, kernel=4, conditioned=True, grid=4, dense=dense)

    def baselines(self) -> dict[str, Restorer]:
        return {
            "total variation": baselines.total_variation,
            "bilateral": baselines.bilateral,
            "non-local means": baselines.non_local_means_for_noise,
            # 2.5 and 1.0: tuned on training faces
            "sliding DCT": lambda degraded: baselines.sliding_dct(degraded, of_estimate=2.5),
            "NLM and DCT, then Wiener": baselines.denoise_and_sharpen(1.0, balance=1.0, of_estimate=2.5),
        }


@dataclass(frozen=True)
class Srgan(Recipe):
    """Small photos, enlarged twice or four times by SRGAN, in its two stages (DIV2K)."""

    name: ClassVar[str] = "srgan"
    title: ClassVar[str] = "Super-resolution"
    get_data: ClassVar[str] = f"get DIV2K with `{_GET} div2k`, then pass --data data/div2k"

    # Ledig et al. 2017, section 3.2: crops of 96, batches of 16, Adam at 1e-4.
    image_size: int = 96
    augment: Augment = "dihedral"
    epochs: int = 100
    crops_per_image: int = 100
    learning_rate: float = 1e-4
    pretrain_epochs: int = 80
    pixel_weight: float = 4.0  # 1 for the paper's images in [-1, 1], whose squared errors are four times as large
    perceptual_weight: float = 1.0
    adversarial_weight: float = 1e-3

    enlarge: int = 2
    """How many times wider and higher: 2 or 4."""
    blocks: int = 16
    """Residual blocks."""
    upsample: Upsampling = "shuffle"
    """How the generator enlarges."""
    kernel: int = 9
    """Side of the first and the last convolution."""

    noise_sigma: float = 0.0
    """Standard deviation of noise on the small image, on the scale from 0 to 1."""

    probe: ClassVar = ("noise_sigma", (0.0, 0.01, 0.02, 0.04, 0.08))
    improved: ClassVar[dict[str, Any]] = {**_IMPROVED, "kernel": 3, "pixel_loss": "l1", "pixel_weight": 1.0}
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {  # VGG19's weights are a download, so this scale does without
            **improved, **_SMOKE, "width": 24, "blocks": 4, "epochs": 6, "pretrain_epochs": 4,
            "adversarial_learning_rate": 3e-4, "adversarial_weight": 5e-3, "perceptual_weight": 0.0,
        },
        "small": {
            **improved, "epochs": 12, "pretrain_epochs": 10, "learning_rate": 2e-4, "perceptual_weight": 0.0,
            "val_images": 20,
        },
        "full": {},
    }  # fmt: skip

    @property
    def factor(self) -> int:
        return self.enlarge

    def as_input(self, degraded: Tensor) -> Tensor:
        return baselines.bicubic(self.factor)(degraded)

    def degradation(self) -> Degradation:
        if self.factor not in (2, 4):
            raise ValueError(f"enlarge must be 2 or 4, not {self.factor}")
        if self.image_size % self.factor:
            raise ValueError(f"image_size must be a multiple of {self.factor}, not {self.image_size}")
        shrink = Downsample(self.factor)
        return Compose(shrink, GaussianNoise(self.noise_sigma)) if self.noise_sigma else shrink

    def generator(self) -> nn.Module:
        return SRResNet(self.factor, self.width, self.blocks, self.norm, self.upsample, self.residual, self.kernel)

    def discriminator(self) -> nn.Module:
        width = self.discriminator_width
        convolutions = [(width * 2**level, stride) for level in range(4) for stride in (1, 2)]
        return Classifier(convolutions, dense=[16 * width])

    def baselines(self) -> dict[str, Restorer]:
        return {
            "Lanczos": baselines.lanczos(self.factor),
            "back-projection": baselines.back_projection(self.factor),
        }
