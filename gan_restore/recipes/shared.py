"""Settings and networks that several recipes share."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from gan_restore.networks.blocks import Upsampling
from gan_restore.networks.encoder_decoder import ResidualEncoderDecoder
from gan_restore.recipes.base import Recipe

# What the published networks lacked, beside each recipe's own options.
IMPROVED: dict[str, Any] = {"norm": "none", "residual": True, "lr_decay": "cosine", "ema": 0.999}


# What keeps the game open: a slower discriminator that is not asked to be certain, and who leads.
BALANCED: dict[str, Any] = {"discriminator_learning_rate": 1e-4, "real_label": 0.9, "pixel_weight": 100.0}


# Small networks, many crops of few photos.
SMOKE: dict[str, Any] = {
    "width": 16, "discriminator_width": 16, "square": 0, "image_size": 64, "augment": "dihedral",
    "crops_per_image": 100, "batch_size": 8, "epochs": 6, "learning_rate": 1e-3, "ema": 0.98,
}  # fmt: skip


DOWNLOAD = "python data_scripts/download_kaggle.py get"


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
