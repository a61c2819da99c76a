"""Classical inpainting of impulses and scratches: find the damaged pixels, then fill them.

All return a batch of the shape N x 3 x H x W that they are given, in [0, 1], with all other pixels as they were.
"""

import numpy as np
import torch
from scipy.ndimage import median_filter
from skimage import restoration
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import dilation, disk
from torch import Tensor

from gan_restore.baselines.base import image_by_image
from gan_restore.networks.impulses import impulse_mask, likely_impulses
from gan_restore.networks.top_hats import top_hats


def inpaint_impulses(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting (Damelin and Hoang 2018; scikit-image) of every pure black or white pixel.

    Example:
        >>> image = torch.full((1, 3, 16, 16), 0.5)
        >>> image[..., 8, 8] = 1
        >>> inpaint_impulses(image)[0, :, 8, 8]
        tensor([0.5000, 0.5000, 0.5000])
    """
    return _inpaint(degraded, impulse_mask(degraded))


def inpaint_likely_impulses(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) of pure pixels outside black and white areas, see `likely_impulses`."""
    return _inpaint(degraded, likely_impulses(degraded))


def _inpaint(degraded: Tensor, mask: Tensor) -> Tensor:
    """Fill the pixels of `mask` (N x 1 x H x W, bool); an image without a known pixel is returned as it is."""

    def restore(array: np.ndarray) -> np.ndarray:
        image, holes = array[..., :3], array[..., 3] > 0
        if not holes.any() or holes.all():
            return image
        return restoration.inpaint_biharmonic(image, holes, channel_axis=-1).astype(np.float32)

    return image_by_image(restore, torch.cat([degraded, mask.to(degraded)], dim=1))


def detect_scratches(degraded: Tensor, radius: int = 4) -> Tensor:
    """Find scratches and dust, thin light or dark marks: N x 3 x H x W in [0, 1] -> N x 1 x H x W, bool.

    Top-hats of the brightness respond to structures that are narrower than 2 radius + 1 pixels. A pixel is taken
    if its response exceeds that of the texture around it by 0.1, or by 0.05 where it touches such a pixel
    (hysteresis). Then the marks grow by one pixel. Dust is damage too, so round marks are kept; stains are too
    wide to be found. In strong texture, details of the photo are taken for scratches. The constants were tuned on
    training faces and photos with `Scratches` drawn on them.

    Args:
        degraded: the scratched images.
        radius: of the top-hats' disk in pixels.
    """

    def find(responses: np.ndarray) -> np.ndarray:
        found = np.zeros(responses.shape[1:], bool)
        for response in responses:  # light marks, then dark ones
            texture = median_filter(response[::4, ::4], size=7).repeat(4, axis=0).repeat(4, axis=1)
            excess = response - 6 * texture[: response.shape[0], : response.shape[1]]
            found |= apply_hysteresis_threshold(excess, 0.05, 0.1)
        return dilation(found, disk(1))

    masks = np.stack([find(responses) for responses in top_hats(degraded.cpu(), radius, "disk").numpy()])
    return torch.from_numpy(masks)[:, None].to(degraded.device)


def inpaint_scratches(degraded: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) of the pixels that `detect_scratches` finds."""
    return _inpaint(degraded, detect_scratches(degraded))


def inpaint_known(degraded: Tensor, mask: Tensor) -> Tensor:
    """Biharmonic inpainting (scikit-image) of the pixels where the true mask is above 0.02.

    This is an oracle: it shows what perfect detection would give. Real photos come without such a mask.

    Args:
        degraded: the scratched images.
        mask: how much of each pixel is covered, N x 1 x H x W in [0, 1].
    """
    return _inpaint(degraded, mask > 0.02)
