"""Classical deblurring: Wiener, Richardson-Lucy, and denoising followed by Wiener."""

import math
from collections.abc import Callable

import numpy as np
from skimage import restoration
from torch import Tensor

from gan_restore.baselines.base import Restoration, image_by_image
from gan_restore.baselines.denoising import non_local_means_for_noise, sliding_dct


def wiener(blur: float, balance: float = 1e-3) -> Restoration:
    """Undo a Gaussian blur of `blur` pixels by a Wiener filter (Hunt 1973; scikit-image).

    Args:
        balance: the more, the smoother; the default suits a blur of 1.5 pixels without noise, 0.01 denoised images
            and blurs of 3 pixels.
    """

    def sharpen(padded: np.ndarray) -> np.ndarray:
        planes = [restoration.wiener(plane, _gaussian(blur), balance, clip=False) for plane in padded]
        return np.stack(planes)

    return lambda degraded: image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


def richardson_lucy(blur: float, iterations: int = 30) -> Restoration:
    """Undo a Gaussian blur of `blur` pixels (Richardson 1972, Lucy 1974; scikit-image); noise is amplified."""

    def sharpen(padded: np.ndarray) -> np.ndarray:
        return restoration.richardson_lucy(padded, _gaussian(blur)[None], num_iter=iterations)

    return lambda degraded: image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


def _gaussian(sigma: float) -> np.ndarray:
    radius = max(1, math.ceil(4 * sigma))
    row = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.outer(row, row) / row.sum() ** 2


def _padded(restore: Callable[[np.ndarray], np.ndarray], array: np.ndarray, blur: float) -> np.ndarray:
    """Apply a function of 3 x H x W with a mirrored margin, since Fourier transforms take an image for a ring."""
    margin = max(16, math.ceil(8 * blur))
    planes = np.pad(array.transpose(2, 0, 1), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    inner = restore(planes)[:, margin:-margin, margin:-margin]
    return np.ascontiguousarray(inner.transpose(1, 2, 0), dtype=np.float32)


def denoise_and_sharpen(
    blur: float, noise: float | None = None, balance: float = 0.01, of_estimate: float = 0.95
) -> Restoration:
    """Mean of `non_local_means_for_noise` and `sliding_dct`, then `wiener`: the strongest here on photo damage.

    Args:
        blur: sigma of the Gaussian blur in pixels.
        noise, of_estimate: for `sliding_dct`.
        balance: for `wiener`.
    """
    sharpen = wiener(blur, balance)

    def restore(degraded: Tensor) -> Tensor:
        smooth = sliding_dct(degraded, noise, of_estimate=of_estimate)
        return sharpen((non_local_means_for_noise(degraded) + smooth) / 2)

    return restore
