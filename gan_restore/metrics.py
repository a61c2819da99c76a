"""How close a restored image is to the clean one. One value an image; batches N x C x H x W in [0, 1].

The protocol is part of a number: every table states channel (RGB or Y), cropped border and range.
"""

from collections.abc import Callable

from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

PSNR_CAP = 100.0
"""An image restored without any error has no finite PSNR; it counts as this many dB."""


def mse(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of each image: N values, range [0, 1]."""
    return (restored.double() - clean.double()).square().flatten(1).mean(1)


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB: 10 log10(1 / MSE), at most `PSNR_CAP`.

    Example:
        >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5))
        tensor([20.0000], dtype=torch.float64)
    """
    return -10 * mse(restored, clean).clamp_min(10 ** (-PSNR_CAP / 10)).log10()


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004: 11 x 11 Gaussian window, sigma 1.5): N values.

    The same as scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Raises:
        ValueError: if the images are smaller than the window.
    """
    if min(restored.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, not {tuple(restored.shape[-2:])}")
    # In single precision: thirty times as fast as in double, and within 2e-5 of it.
    options = {"data_range": 1.0, "sigma": 1.5, "reduction": "none", "return_full_image": True}
    _, local = structural_similarity_index_measure(restored.float(), clean.float(), **options)
    return local[..., 5:-5, 5:-5].flatten(1).mean(1)  # windows that lie inside the image, as in the paper


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": psnr, "ssim": ssim, "mse": mse}
