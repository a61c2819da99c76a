"""Classical enlargement: bicubic, Lanczos, back-projection."""

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_restore.baselines.base import Restoration, image_by_image
from gan_restore.networks.blocks import enlarge


def bicubic(factor: int) -> Restoration:
    """Enlarge by bicubic interpolation (Keys 1981): N x 3 x H x W -> N x 3 x factor H x factor W, in [0, 1].

    The kernel has a = -0.5, as in MATLAB and Pillow. PyTorch offers it with `antialias` only, which changes nothing
    else when enlarging; without `antialias`, a is -0.75.

    Example:
        >>> import torch
        >>> bicubic(4)(torch.rand(1, 3, 10, 7)).shape
        torch.Size([1, 3, 40, 28])
    """
    return lambda degraded: enlarge(degraded, factor).clamp(0, 1)


def lanczos(factor: int) -> Restoration:
    """Enlarge by Lanczos interpolation with three lobes (Duchon 1979; Pillow).

    N x 3 x H x W -> N x 3 x factor H x factor W, in [0, 1].
    """

    def enlarge_array(array: np.ndarray) -> np.ndarray:
        size = (array.shape[1] * factor, array.shape[0] * factor)
        planes = [Image.fromarray(plane) for plane in np.ascontiguousarray(array.transpose(2, 0, 1))]
        enlarged = [np.asarray(plane.resize(size, Image.Resampling.LANCZOS)) for plane in planes]
        return np.stack(enlarged, axis=-1)

    return lambda degraded: image_by_image(enlarge_array, degraded)


def back_projection(factor: int, iterations: int = 10) -> Restoration:
    """Iterative back-projection (Irani and Peleg 1991): N x 3 x H x W -> N x 3 x factor H x factor W, in [0, 1].

    The first estimate is the bicubic enlargement. Each iteration shrinks the estimate, and adds the enlarged
    difference between the given image and the shrunk estimate.
    """

    def restore(degraded: Tensor) -> Tensor:
        restored = bicubic(factor)(degraded)
        for _ in range(iterations):
            small = F.interpolate(restored, size=degraded.shape[-2:], mode="bicubic", antialias=True)
            missing = F.interpolate(degraded - small, scale_factor=factor, mode="bicubic", antialias=True)
            restored = (restored + missing).clamp(0, 1)
        return restored

    return restore
