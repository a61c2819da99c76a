"""`pix2pix`: scratched and noisy photographs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.data.layouts import Split
from gan_restore.degradations.base import Compose, Degradation
from gan_restore.degradations.noise import GaussianNoise
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.prints import REFERENCE, OldPrint
from gan_restore.degradations.scratches import Scratches
from gan_restore.losses.pixel import Pixel
from gan_restore.networks.blocks import Upsampling
from gan_restore.networks.discriminators import PatchGAN
from gan_restore.networks.pix2pix_unet import Pix2PixUNet
from gan_restore.recipes.base import Recipe, Scale, local_path
from gan_restore.recipes.shared import BALANCED, IMPROVED, SMOKE, Initialisation, initialised


@dataclass(frozen=True)
class Pix2Pix(Recipe):
    """Scratched and noisy photographs, restored by pix2pix."""

    name: ClassVar[str] = "pix2pix"
    title: ClassVar[str] = "Scratched photographs"
    data_sets: ClassVar[tuple[str, ...]] = ("humanface8000",)

    # The batches of 8 and the 50 epochs are the published notebook's. It does not mention jitter, mirroring and
    # initial weights; these are pix2pix's (Isola et al. 2017, section 6.2).
    image_size: int = 256
    square: int = 256
    augment: Augment = "flip"
    batch_size: int = 8
    epochs: int = 50
    learning_rate: float = 2e-4
    beta1: float = 0.5
    pixel_loss: Pixel = "l1"
    # The paper's 100, for images in [-1, 1], where errors are twice as large; the notebook's 10 would be 20 here.
    pixel_weight: float = 200.0
    adversarial_weight: float = 1.0

    jitter: float = 286 / 256
    """Enlarge the squares of the training images by this factor before the random crops."""
    initialisation: Initialisation = "normal"
    """Initial weights of both networks: normal draws them from N(0, 0.02^2), default leaves PyTorch's."""
    damage: Literal["scratches", "print"] = "scratches"
    """scratches: noise and drawn scratches, as published; print: all the wear of an old print (`OldPrint`)."""
    noise_sigma: float = 5 / 255
    """Standard deviation of the noise, on the scale from 0 to 1; unused if the data set has degraded images. With
    the damage print, it is that of the grain, and each image draws its own from 0 to this."""
    overlays: str | None = local_path()
    """Folder of scratch images to overlay, in addition to the drawn scratches."""
    levels: int = 8
    """Levels of the U-Net; each halves the resolution."""
    dropout: float = 0.5
    """Dropout in the first three decoder blocks."""
    upsample: Upsampling = "transposed"
    """Upsampling layers in the decoder."""
    top_hat_input: bool = False
    """Give the generator a white and a black top-hat of the image, which show thin bright and dark structures."""

    smallest: ClassVar = 24  # the least input of the PatchGAN
    robustness: ClassVar = ("noise_sigma", (0.0, 0.02, 0.05, 0.1, 0.15))
    improved: ClassVar[dict[str, Any]] = {
        **IMPROVED, **BALANCED, "jitter": 1.0, "initialisation": "default", "dropout": 0.0,
        "adversarial_weight": 0.1, "top_hat_input": True,
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {
            **improved, **SMOKE, "levels": 4, "width": 24, "learning_rate": 2e-3, "crops_per_image": 80,
        },
        "small": {**improved, "augment": "flip", "epochs": 10, "val_images": 200},
        "full": {},
    }  # fmt: skip

    @property
    def over_scales(self) -> int:
        """Old prints are restored over scales from the side on from which `OldPrint` draws wider marks."""
        return REFERENCE if self.damage == "print" else 0

    @property
    def keep_tone(self) -> bool:
        """Old prints are often gray or sepia."""
        return self.damage == "print"

    @property
    def min_side(self) -> int:
        """Half of `square`: the published protocol resizes every image to 256 x 256."""
        return self.square // 2 or self.image_size

    def square_of(self, split: Split) -> int:
        """`square`, and `jitter` times as much for the training images."""
        return round(self.square * self.jitter) if split == "train" else self.square

    def degradation(self) -> Degradation:
        """Gaussian noise and drawn scratches, or the wear of an old print; then the scratches of `overlays`."""
        overlay = [ScratchOverlay(self.overlays)] if self.overlays else []
        if self.damage == "print":
            return Compose(OldPrint(grain=(0, self.noise_sigma)), *overlay)
        return Compose(GaussianNoise(self.noise_sigma), Scratches(), *overlay)

    def generator(self) -> nn.Module:
        """pix2pix's U-Net."""
        network = Pix2PixUNet(
            self.width, self.levels, self.dropout, self.norm, self.upsample, self.residual, self.top_hat_input
        )
        return initialised(network, self.initialisation)

    def published_discriminator(self) -> nn.Module:
        """PatchGAN: (degraded, image) -> N x 1 x H' x W' logits."""
        return initialised(PatchGAN(self.discriminator_width), self.initialisation)

    def baselines(self) -> dict[str, Restoration]:
        """Denoisers, and biharmonic inpainting of scratches that a top-hat detects."""
        return {
            "median 3x3": baselines.median,
            "non-local means": baselines.non_local_means_for_noise,
            "biharmonic, detected scratches": baselines.inpaint_scratches,
            "biharmonic, then sliding DCT": lambda degraded: baselines.sliding_dct(
                baselines.inpaint_scratches(degraded)
            ),
        }

    def oracles(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Biharmonic inpainting of the true scratches."""
        return {"biharmonic, true mask": baselines.inpaint_known}
