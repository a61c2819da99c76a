"""Classical deblurring: Wiener, Richardson-Lucy, and denoising followed by Wiener.

All suppose a Gaussian blur whose sigma is known.
"""

import math
from collections.abc import Callable

import numpy as np
from skimage import restoration
from torch import Tensor

from gan_restore.baselines.base import Restoration, image_by_image
from gan_restore.baselines.denoising import non_local_means_for_noise, sliding_dct


def wiener(blur: float, balance: float = 1e-3) -> Restoration:
    """Deblur with a Wiener filter (Hunt 1973; scikit-image): N x 3 x H x W in [0, 1] -> the same shape.

    Args:
        blur: sigma of the Gaussian blur in pixels.
        balance: weight of smoothness. The default suits a blur of 1.5 pixels without noise; 0.01 suits denoised
            images, and blurs of 3 pixels.
    """

    def sharpen(planes: np.ndarray) -> np.ndarray:
        return np.stack([restoration.wiener(plane, _gaussian(blur), balance, clip=False) for plane in planes])

    return lambda degraded: image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


def richardson_lucy(blur: float, iterations: int = 30) -> Restoration:
    """Deblur by Richardson-Lucy deconvolution (Richardson 1972, Lucy 1974; scikit-image), which amplifies noise.

    N x 3 x H x W in [0, 1] -> the same shape.

    Args:
        blur: sigma of the Gaussian blur in pixels.
        iterations: more are sharper and noisier.
    """

    def sharpen(planes: np.ndarray) -> np.ndarray:
        return restoration.richardson_lucy(planes, _gaussian(blur)[None], num_iter=iterations)

    return lambda degraded: image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


def _gaussian(sigma: float) -> np.ndarray:
    """A Gaussian kernel, cut off at four sigma, with the sum 1; a single 1 without a blur."""
    radius = math.ceil(4 * sigma)
    row = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2)) if radius else np.ones(1)
    return np.outer(row, row) / row.sum() ** 2


def _padded(restore: Callable[[np.ndarray], np.ndarray], array: np.ndarray, blur: float) -> np.ndarray:
    """Apply a function of planes 3 x H x W to an image H x W x 3 with a mirrored margin.

    Fourier transforms treat an image as periodic. The margin keeps opposite borders apart.
    """
    margin = max(16, math.ceil(8 * blur))
    planes = np.pad(array.transpose(2, 0, 1), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    inner = restore(planes)[:, margin:-margin, margin:-margin]
    return np.ascontiguousarray(inner.transpose(1, 2, 0), dtype=np.float32)


def denoise_and_sharpen(
    blur: float, noise: float | None = None, balance: float = 0.01, of_estimate: float = 0.95
) -> Restoration:
    """Denoise, then deblur: the mean of `non_local_means_for_noise` and `sliding_dct`, then `wiener`.

    It is the strongest method here on photos with blur, noise and JPEG. N x 3 x H x W in [0, 1] -> the same shape.

    Args:
        blur: sigma of the Gaussian blur in pixels.
        noise: standard deviation of the noise for `sliding_dct`, on the [0, 1] scale; estimated if it is not given.
        balance: as in `wiener`.
        of_estimate: as in `sliding_dct`.
    """
    sharpen = wiener(blur, balance)

    def restore(degraded: Tensor) -> Tensor:
        smooth = sliding_dct(degraded, noise, of_estimate=of_estimate)
        return sharpen((non_local_means_for_noise(degraded) + smooth) / 2)

    return restore
