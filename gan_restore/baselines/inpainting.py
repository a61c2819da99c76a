"""Classical inpainting of impulses and scratches."""

import numpy as np
import torch
from scipy.ndimage import median_filter
from skimage import restoration
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import black_tophat, dilation, disk, white_tophat
from torch import Tensor

from gan_restore.baselines.base import image_by_image
from gan_restore.networks.impulses import impulse_mask, likely_impulses


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
        return restoration.inpaint_biharmonic(image, holes, channel_axis=-1).astype(np.float32)

    return image_by_image(restore, torch.cat([degraded, mask.to(degraded)], dim=1))


def detect_scratches(degraded: Tensor, radius: int = 4) -> Tensor:
    """Where thin light or dark marks are: N x 1 x H x W, bool.

    Top-hats of the brightness find what is narrower than 2 radius + 1 pixels; what stands out of the texture
    around it enough, or a little and touches such a mark, is taken, with a rim of one pixel. Dust is damage as
    well, so round marks are kept; half-transparent stains are too wide to be found. Tuned on training faces and
    photos with `scratches.Scratches` drawn on them; in strong texture it takes details for scratches.

    Args:
        radius: of the disk that a mark must be narrower than.
    """

    def find(brightness: np.ndarray) -> np.ndarray:
        found = np.zeros(brightness.shape, bool)
        for tophat in (white_tophat, black_tophat):
            marks = tophat(brightness, disk(radius))
            texture = median_filter(marks[::4, ::4], size=7).repeat(4, axis=0).repeat(4, axis=1)
            excess = marks - 6 * texture[: marks.shape[0], : marks.shape[1]]
            found |= apply_hysteresis_threshold(excess, 0.05, 0.1)
        return dilation(found, disk(1))

    masks = np.stack([find(image) for image in degraded.detach().cpu().mean(1).numpy()])
    return torch.from_numpy(masks)[:, None].to(degraded.device)


def inpaint_scratches(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) of what `detect_scratches` finds."""
    return _inpaint(degraded, detect_scratches(degraded))


def inpaint_known(degraded: Tensor, mask: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) where `mask` (N x 1 x H x W in [0, 1]) is above 0.02.

    An oracle: with the true mask it shows what finding the scratches perfectly would bring, and no real photo
    comes with one.
    """
    return _inpaint(degraded, mask > 0.02)
