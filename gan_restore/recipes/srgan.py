"""`srgan`: super-resolution by a factor of 2 or 4."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.degradations.base import Compose, Degradation
from gan_restore.degradations.blur_and_codec import Downsample
from gan_restore.degradations.noise import GaussianNoise
from gan_restore.networks.blocks import Upsampling
from gan_restore.networks.discriminators import Classifier
from gan_restore.networks.srresnet import SRResNet
from gan_restore.recipes.base import LearningRateDecay, Recipe, Scale
from gan_restore.recipes.shared import IMPROVED, SMOKE


@dataclass(frozen=True)
class Srgan(Recipe):
    """Photos enlarged by a factor of 2 or 4 by SRGAN, trained in two stages."""

    name: ClassVar[str] = "srgan"
    title: ClassVar[str] = "Super-resolution"
    data_sets: ClassVar[tuple[str, ...]] = ("div2k",)

    # Ledig et al. 2017, section 3.2: batches of 16 crops of 96, Adam; 10^6 steps at 1e-4 on the pixel loss, then
    # 10^5 adversarial steps at 1e-4 and 10^5 at 1e-5. An epoch over DIV2K's 712 training images is 10,012 steps.
    image_size: int = 96
    augment: Augment = "dihedral"
    epochs: int = 120
    crops_per_image: int = 225
    learning_rate: float = 1e-4
    lr_decay: LearningRateDecay = "step"
    pretrain_epochs: int = 100
    pixel_weight: float = (
        4.0  # the paper's 1 is for images in [-1, 1], where squared errors are four times as large
    )
    perceptual_weight: float = 1.0
    adversarial_weight: float = 1e-3

    enlarge: int = 2
    """Factor of the enlargement, 2 or 4."""
    blocks: int = 16
    """Residual blocks."""
    upsample: Upsampling = "shuffle"
    """Upsampling layers; shuffle is pixel shuffle, as published."""
    kernel: int = 9
    """Kernel size of the first and the last convolution."""
    noise_sigma: float = 0.0
    """Standard deviation of noise on the small image, on the scale from 0 to 1."""

    robustness: ClassVar = ("noise_sigma", (0.0, 0.01, 0.02, 0.04, 0.08))
    improved: ClassVar[dict[str, Any]] = {**IMPROVED, "kernel": 3, "pixel_loss": "l1", "pixel_weight": 1.0}
    local: ClassVar[dict[str, Any]] = {
        "discriminator_kind": "local", "discriminator_width": 32, "adversarial": "hinge",
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        # Four times, where many answers are plausible. The model x4 was trained on the pixel loss for hours, so
        # minutes of the adversarial stage show what that stage adds. Without the perceptual loss: VGG19's weights
        # are a download.
        "smoke": {
            **improved, **SMOKE, "enlarge": 4, "upsample": "resize", "width": 32, "blocks": 10, "start_from": "x4",
            "epochs": 6, "pretrain_epochs": 0, "crops_per_image": 45, "val_images": 4, "learning_rate": 2.5e-4,
            "beta1": 0.5, **local, "discriminator_learning_rate": 4e-3, "adversarial_weight": 0.018,
            "perceptual_weight": 0.0,
        },
        # The discriminator and the loss weights of the model x4-gan (docs/results.md), without its perceptual loss.
        "small": {
            **improved, "epochs": 12, "crops_per_image": 100, "pretrain_epochs": 10, "learning_rate": 2e-4,
            "perceptual_weight": 0.0, "val_images": 20, "upsample": "resize", "adversarial_learning_rate": 1e-4,
            **local, "discriminator_learning_rate": 1e-3, "adversarial_weight": 0.012,
        },
        "full": {},
    }  # fmt: skip

    @property
    def factor(self) -> int:
        """2 or 4."""
        return self.enlarge

    def as_input(self, degraded: Tensor) -> Tensor:
        """Bicubic enlargement: N x 3 x H x W -> N x 3 x factor H x factor W."""
        return baselines.bicubic(self.factor)(degraded)

    def degradation(self) -> Degradation:
        """Bicubic downsampling by `enlarge`, then noise if there is any."""
        if self.factor not in (2, 4):
            raise ValueError(f"enlarge must be 2 or 4, not {self.factor}")
        if self.image_size % self.factor:
            raise ValueError(f"image_size must be a multiple of {self.factor}, not {self.image_size}")
        shrink = Downsample(self.factor)
        return Compose(shrink, GaussianNoise(self.noise_sigma)) if self.noise_sigma else shrink

    def generator(self) -> nn.Module:
        """SRGAN's generator, SRResNet."""
        return SRResNet(self.factor, self.width, self.blocks, self.norm, self.upsample, self.residual, self.kernel)

    def published_discriminator(self) -> nn.Module:
        """Eight convolutions and dense layers: (degraded, image) -> N x 1 logits; it looks at the image only."""
        width = self.discriminator_width
        convolutions = [(width * 2**level, stride) for level in range(4) for stride in (1, 2)]
        return Classifier(convolutions, dense=[16 * width])

    def baselines(self) -> dict[str, Restoration]:
        """Lanczos interpolation, and iterative back-projection."""
        return {
            "Lanczos": baselines.lanczos(self.factor),
            "back-projection": baselines.back_projection(self.factor),
        }
