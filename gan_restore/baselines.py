"""The classical methods anybody could have used instead: restorers like any other, without learning.

Each takes a batch N x 3 x H x W in [0, 1] on any device and gives one of the same shape there; the work is
done on the CPU, mostly by scikit-image and SciPy.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import median_filter
from skimage.restoration import denoise_nl_means, inpaint_biharmonic
from torch import Tensor

from gan_restore.impulses import impulse_mask, likely_impulses

Restorer = Callable[[Tensor], Tensor]


def unchanged(degraded: Tensor) -> Tensor:
    """The degraded image itself: what every other row must beat."""
    return degraded


def _image_by_image(restore: Callable[[np.ndarray], np.ndarray], degraded: Tensor) -> Tensor:
    """Apply a function of one H x W x 3 array to each image of a batch."""
    arrays = degraded.detach().cpu().permute(0, 2, 3, 1).numpy()
    restored = np.stack([restore(array) for array in arrays])
    return torch.from_numpy(restored).permute(0, 3, 1, 2).to(degraded).clamp(0, 1)


def median(degraded: Tensor) -> Tensor:
    """The 3 x 3 median of each channel (SciPy)."""
    values = median_filter(degraded.detach().cpu().numpy(), size=(1, 1, 3, 3), mode="reflect")
    return torch.from_numpy(values).to(degraded)


def adaptive_median(degraded: Tensor, largest: int = 7) -> Tensor:
    """Adaptive median filter (Hwang and Haddad 1995): only suspected impulses are replaced.

    The window grows from 3 x 3 until its median is no impulse itself (strictly between its minimum and
    maximum) or it is `largest` wide; a pixel that lies strictly between minimum and maximum is kept.
    """
    pixels = degraded.detach().cpu()
    if pixels.shape[0] > 1:  # one image at a time, for the windows take 49 times its memory
        return torch.cat([adaptive_median(image, largest) for image in pixels.split(1)]).to(degraded)
    result, undecided = pixels.clone(), torch.ones_like(pixels, dtype=torch.bool)
    for size in range(3, largest + 1, 2):
        padded = F.pad(pixels, [size // 2] * 4, mode="reflect")
        windows = padded.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
        lowest, middle, highest = windows.amin(4), windows.median(4).values, windows.amax(4)
        trusted = (lowest < middle) & (middle < highest)
        kept = (lowest < pixels) & (pixels < highest)
        decided = undecided & (trusted | (size == largest))
        result = torch.where(decided & ~kept, middle, result)
        undecided &= ~decided
    return result.to(degraded)


def inpaint_impulses(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) of every pure black or white pixel; all others are kept."""
    return _inpaint(degraded, impulse_mask(degraded))


def inpaint_likely_impulses(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting of the pure pixels that stand alone; black and white areas are kept too."""
    return _inpaint(degraded, likely_impulses(degraded))


def _inpaint(degraded: Tensor, mask: Tensor) -> Tensor:
    def restore(array: np.ndarray) -> np.ndarray:
        image, holes = array[..., :3], array[..., 3] > 0
        if not holes.any() or holes.all():
            return image
        return inpaint_biharmonic(image, holes, channel_axis=-1).astype(np.float32)

    return _image_by_image(restore, torch.cat([degraded, mask.to(degraded)], dim=1))


def non_local_means(degraded: Tensor) -> Tensor:
    """Non-local means (Buades et al. 2005; scikit-image) for noise as strong as what a median filter removes.

    The usual wavelet estimate of the noise level overlooks impulses: it was made for noise in every pixel.
    """

    def restore(array: np.ndarray) -> np.ndarray:
        sigma = float((array - median_filter(array, size=(3, 3, 1))).std())
        options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
        return denoise_nl_means(array, h=0.8 * sigma, sigma=sigma, **options)

    return _image_by_image(restore, degraded)
