"""`unet-denoiser`: salt-and-pepper noise."""

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
from gan_restore.recipes.shared import IMPROVED, SMOKE


@dataclass(frozen=True)
class UnetDenoiser(Recipe):
    """Salt-and-pepper noise on faces, removed by a U-Net; without a discriminator, as published."""

    name: ClassVar[str] = "unet-denoiser"
    title: ClassVar[str] = "Salt-and-pepper denoiser"
    data_sets: ClassVar[tuple[str, ...]] = ("fer2013-csv", "fer2013")

    density: float | tuple[float, float] = 0.06
    """Share of the pixels that the noise replaces, 0 to 1; of a pair (low, high), each image draws its own."""
    salt: float = 0.5
    """Share of the replaced pixels that become white; the others become black."""
    depth: int = 5
    """Levels of the U-Net; each but the first halves the resolution."""
    dropout: float = 0.2
    """Dropout in the generator's blocks."""
    mask_input: bool = False
    """Give the generator a mask of the noisy pixels, and let it change only those."""
    unshuffle: int = 1
    """Rearrange blocks of this many pixels a side into channels before the first convolution, for speed."""

    robustness: ClassVar = ("density", (0.02, 0.06, 0.12, 0.25, 0.4))
    # docs/unet-denoiser.md measures what each of these options brings.
    improved: ClassVar[dict[str, Any]] = {**IMPROVED, "dropout": 0.0, "mask_input": True, "unshuffle": 2}
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        # without unshuffle: photos, unlike enlarged faces, have no regular grid that it could use
        "smoke": {
            **improved, **SMOKE, "unshuffle": 1, "depth": 3, "pixel_loss": "l1", "epochs": 3,
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

    @property
    def min_side(self) -> int:
        """Images of any size; see `enlarge_to`."""
        return 1

    def degradation(self) -> Degradation:
        """Salt-and-pepper noise, which hits all channels of a pixel together."""
        return SaltAndPepper(self.density, self.salt)

    def generator(self) -> nn.Module:
        """The U-Net of the published denoiser."""
        return DenoisingUNet(
            self.width, self.depth, self.dropout, self.norm, self.residual, self.mask_input, self.unshuffle
        )

    def published_discriminator(self) -> nn.Module:
        """Five strided convolutions: (degraded, image) -> N x 1 x H' x W' logits."""
        return DenoisingDiscriminator(width=self.discriminator_width)

    def baselines(self) -> dict[str, Restoration]:
        """Median filters, non-local means, and biharmonic inpainting of the noisy pixels."""
        return {
            "median 3x3": baselines.median,
            "adaptive median": baselines.adaptive_median,
            "non-local means": baselines.non_local_means,
            "biharmonic, all pure pixels": baselines.inpaint_impulses,
            "biharmonic, lone pure pixels": baselines.inpaint_likely_impulses,
        }
