"""Networks: generators (one family a file), discriminators, the blocks that they share, and fixed input features.

A generator maps degraded images N x 3 x H x W in [0, 1] to restored images, for any height and width. Restored
images have the same size (`SRResNet`: a larger one) and lie in [0, 1] in eval mode.
"""

from gan_restore.networks.blocks import (
    RESIDUAL_SCALE,
    Norm,
    ResidualBlock,
    RestoringNetwork,
    Upsampling,
    enlarge,
    initialise_normal,
    normalisation,
    pad_to_multiple,
    tanh_range,
    upsampling,
)
from gan_restore.networks.denoising_unet import DenoisingUNet
from gan_restore.networks.discriminators import Classifier, DenoisingDiscriminator, LocalDiscriminator, PatchGAN
from gan_restore.networks.efficientnet import EfficientNetLite0Features
from gan_restore.networks.encoder_decoder import ResidualEncoderDecoder
from gan_restore.networks.impulses import biharmonic_fill, impulse_mask, likely_impulses
from gan_restore.networks.pix2pix_unet import Pix2PixUNet
from gan_restore.networks.srresnet import SRResNet
from gan_restore.networks.top_hats import top_hats

__all__ = [
    "RESIDUAL_SCALE",
    "Classifier",
    "DenoisingDiscriminator",
    "DenoisingUNet",
    "EfficientNetLite0Features",
    "LocalDiscriminator",
    "Norm",
    "PatchGAN",
    "Pix2PixUNet",
    "ResidualBlock",
    "ResidualEncoderDecoder",
    "RestoringNetwork",
    "SRResNet",
    "Upsampling",
    "biharmonic_fill",
    "enlarge",
    "impulse_mask",
    "initialise_normal",
    "likely_impulses",
    "normalisation",
    "pad_to_multiple",
    "tanh_range",
    "top_hats",
    "upsampling",
]
