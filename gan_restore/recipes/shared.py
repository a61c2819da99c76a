"""Settings and networks that several recipes share."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from gan_restore.networks.blocks import Upsampling, initialise_normal
from gan_restore.networks.encoder_decoder import ResidualEncoderDecoder
from gan_restore.recipes.base import Recipe

Initialisation = Literal["default", "normal"]

# The options that the published networks lacked. A recipe adds its own.
IMPROVED: dict[str, Any] = {"norm": "none", "residual": True, "lr_decay": "cosine", "ema": 0.999}

# Keeps the discriminator from winning: it learns slowly, its labels are smoothed, and the pixel loss weighs more.
BALANCED: dict[str, Any] = {"discriminator_learning_rate": 1e-4, "real_label": 0.9, "pixel_weight": 100.0}

# Small networks, and many crops of the few photos inside scikit-image. Without a discriminator: in so few steps
# those of unet-denoiser and pix2pix learned nothing (D(real) - D(fake) below 0.03), and that of resnet-gan only at
# the very end. That of face-cgan learned (0.29), but its generator answered by leaving noise in: further from the
# clean photos than before, and no closer in texture.
SMOKE: dict[str, Any] = {
    "width": 16, "discriminator_width": 16, "square": 0, "image_size": 64, "augment": "dihedral",
    "crops_per_image": 100, "batch_size": 8, "epochs": 6, "learning_rate": 1e-3, "ema": 0.98,
    "adversarial_weight": 0.0,
}  # fmt: skip


def initialised(network: nn.Module, how: Initialisation) -> nn.Module:
    """The network itself, for "normal" with weights drawn anew (see `networks.initialise_normal`)."""
    if how == "normal":
        initialise_normal(network)
    return network


@dataclass(frozen=True)
class EncoderDecoderRecipe(Recipe):
    """The settings that recipes with a `ResidualEncoderDecoder` share."""

    down: int = 2
    """Strided convolutions before the residual blocks, and upsampling layers after them."""
    blocks: int = 9
    """Residual blocks."""
    upsample: Upsampling = "transposed"
    """Upsampling layers in the decoder."""
    kernel: int = 7
    """Kernel size of the first and the last convolution."""
    skips: bool = False
    """Add the features before each strided convolution to those after the matching upsampling layer."""
    initialisation: Initialisation = "normal"
    """Initial weights of both networks: normal draws them from N(0, 0.02^2), default leaves PyTorch's."""

    def generator(self) -> nn.Module:
        """A residual encoder-decoder with this recipe's settings."""
        network = ResidualEncoderDecoder(
            self.width, self.down, self.blocks, self.norm, self.upsample, self.residual, self.kernel, self.skips
        )
        return initialised(network, self.initialisation)
