"""Classical restoration methods, which the networks are compared with.

Each is a `Restoration`: it takes a batch N x 3 x H x W in [0, 1] on any device and returns a batch of the same
shape, in [0, 1], on that device (`bicubic`, `lanczos` and `back_projection`: a larger one). Functions with a
required setting, such as `wiener(blur)`, return a `Restoration`. Most of the work is done on the CPU, by scikit-
image and SciPy.

Constants were tuned on training images only. Those for noise were tuned on 12 crops of photos of BSDS500's training
and test splits (CBSD68 comes from its validation split), with Gaussian noise of 15/255 and 25/255 and with "photo
damage": blur of 0.8 pixels, noise of 15/255, JPEG at quality 60.
"""

from gan_restore.baselines.base import Restoration, image_by_image, unchanged
from gan_restore.baselines.deblurring import denoise_and_sharpen, richardson_lucy, wiener
from gan_restore.baselines.denoising import (
    adaptive_median,
    bilateral,
    estimate_noise,
    median,
    non_local_means,
    non_local_means_for_noise,
    sliding_dct,
    total_variation,
)
from gan_restore.baselines.inpainting import (
    detect_scratches,
    inpaint_impulses,
    inpaint_known,
    inpaint_likely_impulses,
    inpaint_scratches,
)
from gan_restore.baselines.upscaling import back_projection, bicubic, lanczos

__all__ = [
    "Restoration",
    "adaptive_median",
    "back_projection",
    "bicubic",
    "bilateral",
    "denoise_and_sharpen",
    "detect_scratches",
    "estimate_noise",
    "image_by_image",
    "inpaint_impulses",
    "inpaint_known",
    "inpaint_likely_impulses",
    "inpaint_scratches",
    "lanczos",
    "median",
    "non_local_means",
    "non_local_means_for_noise",
    "richardson_lucy",
    "sliding_dct",
    "total_variation",
    "unchanged",
    "wiener",
]
