"""Classical enlargement: bicubic, Lanczos, back-projection."""

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_restore.baselines.base import Restoration, image_by_image
from gan_restore.networks.blocks import enlarge


def bicubic(factor: int) -> Restoration:
    """Enlarge by bicubic interpolation: N x 3 x H x W -> N x 3 x factor H x factor W.

    The kernel is Keys' with a = -0.5, that of MATLAB and Pillow; torch takes it only with `antialias` (which
    itself changes nothing when enlarging), and a = -0.75 without.
    """
    return lambda degraded: enlarge(degraded, factor).clamp(0, 1)


def lanczos(factor: int) -> Restoration:
    """Enlarge by Lanczos interpolation with three lobes (Pillow): N x 3 x H x W -> N x 3 x factor H x factor W."""

    def enlarge(array: np.ndarray) -> np.ndarray:
        size = (array.shape[1] * factor, array.shape[0] * factor)
        planes = [Image.fromarray(plane) for plane in np.ascontiguousarray(array.transpose(2, 0, 1))]
        return np.stack([plane.resize(size, Image.Resampling.LANCZOS) for plane in planes], axis=-1)

    return lambda degraded: image_by_image(enlarge, degraded)


def back_projection(factor: int, iterations: int = 10) -> Restoration:
    """Bicubic enlargement, corrected until it shrinks to the given image again (Irani and Peleg 1991)."""

    def enlarge(degraded: Tensor) -> Tensor:
        restored = bicubic(factor)(degraded)
        for _ in range(iterations):
            small = F.interpolate(restored, size=degraded.shape[-2:], mode="bicubic", antialias=True)
            missing = F.interpolate(degraded - small, scale_factor=factor, mode="bicubic", antialias=True)
            restored = (restored + missing).clamp(0, 1)
        return restored

    return enlarge
