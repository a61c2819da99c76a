"""`resnet-gan`: low-quality photos, with blur, noise and JPEG artefacts."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from gan_restore import baselines
from gan_restore.baselines.base import Restoration
from gan_restore.data.batches import Augment
from gan_restore.degradations.base import Compose, Degradation, bounds
from gan_restore.degradations.blur_and_codec import JPEG, GaussianBlur
from gan_restore.degradations.noise import GaussianNoise
from gan_restore.networks.discriminators import Classifier
from gan_restore.recipes.base import Scale
from gan_restore.recipes.shared import IMPROVED, SMOKE, EncoderDecoderRecipe, initialised


@dataclass(frozen=True)
class ResnetGan(EncoderDecoderRecipe):
    """Photos with blur, noise and JPEG artefacts, restored by a residual encoder-decoder."""

    name: ClassVar[str] = "resnet-gan"
    title: ClassVar[str] = "Low-quality photos"
    data_sets: ClassVar[tuple[str, ...]] = ("div2k",)

    # No settings were published. The generator, learning rate, beta1 and initial weights are CycleGAN's (Zhu et al.
    # 2017); its batches of one image suit InstanceNorm, and this system has BatchNorm, hence batches of 16.
    image_size: int = 128
    augment: Augment = "flip"
    epochs: int = 50
    crops_per_image: int = 20
    learning_rate: float = 2e-4
    beta1: float = 0.5
    adversarial_weight: float = 1e-3

    # Of a pair (low, high), each image draws its own value.
    blur_sigma: float | tuple[float, float] = 0.8
    """Standard deviation of the blur in pixels, or a pair (low, high) of them."""
    noise_sigma: float | tuple[float, float] = 15 / 255
    """Standard deviation of the noise on the scale from 0 to 1, or a pair (low, high) of them."""
    jpeg_quality: int | tuple[int, int] = 60
    """Quality of the JPEG compression, 1 to 100, or a pair (low, high) of them."""

    smallest: ClassVar = 16  # the least input of the discriminator
    robustness: ClassVar = ("noise_sigma", (0.0, 0.03, 0.06, 0.1, 0.15))
    improved: ClassVar[dict[str, Any]] = {
        **IMPROVED, "initialisation": "default", "skips": True, "kernel": 3, "pixel_loss": "l1",
        "augment": "dihedral",
    }  # fmt: skip
    scales: ClassVar[dict[Scale, dict[str, Any]]] = {
        "smoke": {**improved, **SMOKE, "blocks": 4, "crops_per_image": 80},
        # Without undamaged crops, images that need nothing were smoothed (docs/results.md).
        "small": {**improved, "undamaged": 0.2, "epochs": 10, "val_images": 20},
        "full": {},
    }  # fmt: skip

    def degradation(self) -> Degradation:
        """Gaussian blur, then Gaussian noise, then JPEG."""
        return Compose(GaussianBlur(self.blur_sigma), GaussianNoise(self.noise_sigma), JPEG(self.jpeg_quality))

    def published_discriminator(self) -> nn.Module:
        """Four strided convolutions: (degraded, image) -> N x 1 logits; it looks at the image only."""
        convolutions = [(self.discriminator_width * 2**level, 2) for level in range(4)]
        return initialised(Classifier(convolutions, kernel=4), self.initialisation)

    def baselines(self) -> dict[str, Restoration]:
        """Denoisers, deconvolutions with the true blur, and both together.

        Where each image draws its own damage, the middle of the range of blur and the estimated noise are used.
        """
        blur = sum(bounds(self.blur_sigma)) / 2
        noise = None if isinstance(self.noise_sigma, tuple) else self.noise_sigma
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
