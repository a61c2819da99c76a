"""`unet-denoiser`: salt and pepper."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.degradations.base import Degradation
from gan_restore.degradations.noise import SaltAndPepper
from gan_restore.networks.denoising_unet import DenoisingUNet
from gan_restore.networks.discriminators import DenoisingDiscriminator
from gan_restore.recipes.base import Recipe, Scale
from gan_restore.recipes.shared import DOWNLOAD, IMPROVED, SMOKE


@dataclass(frozen=True)
class UnetDenoiser(Recipe):
    """Salt and pepper on small faces, undone by a U-Net (FER2013, 48 x 48 enlarged to 128 x 128)."""

    name: ClassVar[str] = "unet-denoiser"
    title: ClassVar[str] = "Salt-and-pepper denoiser"
    get_data: ClassVar[str] = f"get FER2013 with `{DOWNLOAD} fer2013-csv`, then pass --data data/fer2013-csv"

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

    robustness: ClassVar = ("density", (0.02, 0.06, 0.12, 0.25, 0.4))
    # docs/unet-denoiser.md has what each of these brings, as far as it was measured.
    improved: ClassVar[dict[str, Any]] = {**IMPROVED, "dropout": 0.0, "mask_input": True, "unshuffle": 2}
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        # photos, not enlarged faces: no grid to exploit, and more to learn from each crop
        "smoke": {
            **improved, **SMOKE, "unshuffle": 1, "depth": 3, "pixel_loss": "l1", "adversarial_weight": 1e-5,
        },
        "small": {
            **improved, "width": 32, "depth": 4, "augment": "flip", "batch_size": 8, "epochs": 7, "val_images": 200,
        },
        "full": {},
    }  # fmt: skip

    @property
    def enlarge_to(self) -> int:
        """The published denoiser enlarges FER2013's 48 x 48 faces to 128 x 128."""
        return self.image_size

    def degradation(self) -> Degradation:
        return SaltAndPepper(self.density, self.salt)

    def generator(self) -> nn.Module:
        return DenoisingUNet(
            self.width, self.depth, self.dropout, self.norm, self.residual, self.mask_input, self.unshuffle
        )

    def discriminator(self) -> nn.Module:
        return DenoisingDiscriminator(width=self.discriminator_width)

    def baselines(self) -> dict[str, Restoration]:
        return {
            "median 3x3": baselines.median,
            "adaptive median": baselines.adaptive_median,
            "non-local means": baselines.non_local_means,
            "biharmonic, all pure pixels": baselines.inpaint_impulses,
            "biharmonic, lone pure pixels": baselines.inpaint_likely_impulses,
        }
