"""`pix2pix`: scratched photographs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.degradations.base import Compose, Degradation
from gan_restore.degradations.noise import GaussianNoise
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.scratches import Scratches
from gan_restore.losses.pixel import Pixel
from gan_restore.networks.blocks import Upsampling
from gan_restore.networks.discriminators import PatchGAN
from gan_restore.networks.pix2pix_unet import Pix2PixUNet
from gan_restore.recipes.base import Recipe, Scale
from gan_restore.recipes.shared import BALANCED, DOWNLOAD, IMPROVED, SMOKE


@dataclass(frozen=True)
class Pix2Pix(Recipe):
    """Scratched photographs, repaired by pix2pix (HumanFace8000, 256 x 256)."""

    name: ClassVar[str] = "pix2pix"
    title: ClassVar[str] = "Scratched photographs"
    get_data: ClassVar[str] = (
        f"get HumanFace8000 with `{DOWNLOAD} humanface8000`, then pass --data data/humanface8000"
    )

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
    top_hat_input: bool = False
    """Show the generator what is thin and stands out."""

    smallest: ClassVar = 24  # for the PatchGAN
    robustness: ClassVar = ("noise_sigma", (0.0, 0.02, 0.05, 0.1, 0.15))
    improved: ClassVar[dict[str, Any]] = {
        **IMPROVED, **BALANCED, "dropout": 0.0, "adversarial_weight": 0.1, "top_hat_input": True,
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {
            **improved, **SMOKE, "image_size": 96, "levels": 4, "width": 24, "learning_rate": 2e-3,
        },
        "small": {**improved, "augment": "flip", "epochs": 10, "val_images": 200},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        overlay = [ScratchOverlay(self.overlays)] if self.overlays else []
        return Compose(GaussianNoise(self.noise_sigma), Scratches(), *overlay)

    def generator(self) -> nn.Module:
        return Pix2PixUNet(
            self.width, self.levels, self.dropout, self.norm, self.upsample, self.residual, self.top_hat_input
        )

    def discriminator(self) -> nn.Module:
        return PatchGAN(self.discriminator_width)

    def baselines(self) -> dict[str, Restoration]:
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
