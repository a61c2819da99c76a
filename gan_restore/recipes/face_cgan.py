"""`face-cgan`: blind restoration of low-quality faces."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.degradations.base import Degradation
from gan_restore.degradations.blind import BlindFace
from gan_restore.losses.pixel import Pixel
from gan_restore.networks.blocks import Upsampling
from gan_restore.networks.discriminators import Classifier
from gan_restore.recipes.base import Scale
from gan_restore.recipes.shared import BALANCED, IMPROVED, SMOKE, EncoderDecoderRecipe, initialised


@dataclass(frozen=True)
class FaceCgan(EncoderDecoderRecipe):
    """Faces with unknown blur, downsampling, noise and JPEG artefacts, restored by a conditional GAN."""

    name: ClassVar[str] = "face-cgan"
    title: ClassVar[str] = "Low-quality faces"
    data_sets: ClassVar[tuple[str, ...]] = ("celeba", "lfw", "ffhq")

    # No settings were published. Learning rate, beta1, initial weights and loss weights are those of pix2pix.
    square: int = 128
    augment: Augment = "flip"
    epochs: int = 20
    learning_rate: float = 2e-4
    beta1: float = 0.5
    pixel_loss: Pixel = "l1"
    pixel_weight: float = 200.0  # pix2pix's 100 on [-1, 1]
    adversarial_weight: float = 1.0

    down: int = 3
    blocks: int = 0
    upsample: Upsampling = "resize"

    largest_factor: float = 2.5
    """Largest downsampling factor; each face draws one between 1 and this."""

    smallest: ClassVar = 16  # the least input of the discriminator
    robustness: ClassVar = ("largest_factor", (1.0, 2.5, 4.0, 6.0))
    improved: ClassVar[dict[str, Any]] = {
        **IMPROVED, **BALANCED, "initialisation": "default", "skips": True, "down": 2, "blocks": 8, "kernel": 3,
        "adversarial_weight": 0.1,
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {**improved, **SMOKE, "blocks": 4, "epochs": 3},
        # Without undamaged crops, images that need nothing were smoothed (docs/results.md).
        "small": {**improved, "undamaged": 0.2, "epochs": 10, "val_images": 200},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        """Blur, downsampling by 1 to `largest_factor`, noise and JPEG, drawn for each face."""
        return BlindFace(factor=(1.0, self.largest_factor))

    def published_discriminator(self) -> nn.Module:
        """Four strided convolutions and dense layers: (degraded, image) -> N x 1 logits."""
        convolutions = [(self.discriminator_width * 2**level, 2) for level in range(4)]
        dense = [16 * self.discriminator_width]
        network = Classifier(convolutions, kernel=4, conditioned=True, grid=4, dense=dense)
        return initialised(network, self.initialisation)

    def baselines(self) -> dict[str, Restoration]:
        """Denoisers, and one that also sharpens."""
        return {
            "total variation": baselines.total_variation,
            "bilateral": baselines.bilateral,
            "non-local means": baselines.non_local_means_for_noise,
            # 2.5 and 1.0 were tuned on training faces
            "sliding DCT": lambda degraded: baselines.sliding_dct(degraded, of_estimate=2.5),
            "NLM and DCT, then Wiener": baselines.denoise_and_sharpen(1.0, balance=1.0, of_estimate=2.5),
        }
