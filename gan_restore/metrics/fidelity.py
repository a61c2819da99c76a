"""Fidelity: how close a restored image is to the clean one. Each metric gives one value for each image of a batch.

A value depends on the protocol, so every table states channel (RGB or Y), cropped border and range. Metrics that
need a trained network (LPIPS, FID) are in `metrics.perceptual`.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gan_restore.strips import in_strips

PSNR_CAP = 100.0
"""Highest PSNR in dB. An image restored without any error has no finite PSNR and gets this value."""


SSIM_WINDOW = 11
"""Side of the window of SSIM in pixels; smaller images have no SSIM."""

NORMALISED_PSNR_CAP = 4.0
"""Highest normalised PSNR. Without it the ratio would have no bound where the input's PSNR is near 0 dB."""


def luma(images: Tensor) -> Tensor:
    """The luma channel Y, on which super-resolution is usually measured.

    Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255, which is ITU-R BT.601 in studio range, as in MATLAB's
    `rgb2ycbcr`. Black is 16 / 255 and white 235 / 255, so the same error gives a higher PSNR than in RGB.

    Args:
        images: N x 3 x H x W in [0, 1].

    Returns:
        N x 1 x H x W in [16 / 255, 235 / 255].

    Example:
        >>> luma(torch.ones(1, 3, 1, 1)) * 255
        tensor([[[[235.]]]])
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=images.dtype, device=images.device)
    return ((images * weights[:, None, None]).sum(1, keepdim=True) + 16) / 255


def mse(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of each image, over channels and pixels.

    Args:
        restored, clean: N x C x H x W in [0, 1].

    Returns:
        N values in [0, 1], in double precision.

    Example:
        >>> mse(torch.full((1, 3, 8, 8), 0.75), torch.full((1, 3, 8, 8), 0.5))
        tensor([0.0625], dtype=torch.float64)
    """
    return (restored.double() - clean.double()).square().flatten(1).mean(1)


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image: 10 log10(1 / MSE), at most `PSNR_CAP` (torchmetrics).

    Args:
        restored, clean: N x C x H x W in [0, 1].

    Returns:
        N values in dB, in double precision.

    Example:
        >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5))
        tensor([20.0000], dtype=torch.float64)
    """
    base = np.float64(10)  # torchmetrics takes the logarithm of a plain 10.0 in single precision
    values = peak_signal_noise_ratio(
        restored.double(), clean.double(), data_range=1.0, base=base, reduction="none", dim=(1, 2, 3)
    )
    return values.clamp_max(PSNR_CAP)


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Structural similarity of each image, the mean over windows and channels (torchmetrics).

    As in Wang et al. (2004): an 11 x 11 Gaussian window with sigma 1.5, and only windows inside the image. The
    same as scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Args:
        restored, clean: N x C x H x W in [0, 1], at least `SSIM_WINDOW` pixels high and wide.

    Returns:
        N values of at most 1; 1 for equal images.

    Raises:
        ValueError: if the images are smaller than the window.

    Example:
        >>> image = torch.rand(1, 3, 16, 16)
        >>> ssim(image, image)
        tensor([1.])
    """
    if min(restored.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, not {tuple(restored.shape[-2:])}")
    border = SSIM_WINDOW // 2

    def similarity(restored: Tensor, clean: Tensor) -> Tensor:
        """SSIM of the window around each pixel."""
        # In single precision: thirty times as fast as in double, and within 2e-5 of it.
        _, local = structural_similarity_index_measure(
            restored.float(), clean.float(), data_range=1.0, sigma=1.5, reduction="none", return_full_image=True
        )
        return local

    # In strips, since torchmetrics needs about 60 numbers for every pixel and channel.
    local = in_strips(similarity, restored, clean, halo=border)
    inner = local[..., border:-border, border:-border]  # without windows that reach over the border
    return inner.flatten(1).mean(1)


def texture_distance(restored: Tensor, clean: Tensor) -> Tensor:
    """Distance between the textures of two images: do they hold as many sharp and soft transitions, anywhere?

    The brightness b is the mean of the channels. The steps of an image are `|b(p) - b(q)|` over all pairs of
    neighbouring pixels p and q, horizontal and vertical. The distance is the Wasserstein-1 distance between the
    steps r of the restored and c of the clean image. In one dimension it compares them in sorted order (Peyré and
    Cuturi 2019, remark 2.28)::

        W1 = 1/n sum_k |r_(k) - c_(k)|

    It compares distributions, which is what Blau and Michaeli (2018) call perception, instead of pixels
    (distortion). It needs no trained network. It detects blur and noise, but is not fitted to human opinions.

    Args:
        restored, clean: N x C x H x W in [0, 1].

    Returns:
        N values in 1/255; 0 for the same texture.

    Example:
        >>> texture_distance(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
        tensor([0.])
    """

    def steps(images: Tensor) -> Tensor:
        brightness = images.mean(1)
        across, down = brightness.diff(dim=2).flatten(1), brightness.diff(dim=1).flatten(1)
        return torch.cat([across, down], dim=1).abs().sort(dim=1).values

    return 255 * (steps(restored) - steps(clean)).abs().mean(1)


def mean_shift(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean of restored - clean of each channel.

    Unequal values are a colour cast, equal values a change of brightness. Luma hides the first, and PSNR does not
    tell either from other errors.

    Args:
        restored, clean: N x C x H x W in [0, 1].

    Returns:
        N x C values in 1/255, positive where the channel became brighter, in double precision.

    Example:
        >>> mean_shift(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5))
        tensor([[25.5000, 25.5000, 25.5000]], dtype=torch.float64)
    """
    return 255 * (restored.double() - clean.double()).mean((2, 3))


def normalised_psnr(restored: Tensor, degraded: Tensor) -> Tensor:
    """PSNR of the restored image divided by that of the degraded input, at most `NORMALISED_PSNR_CAP`.

    1 means that nothing was gained. The zero of the decibel scale is arbitrary, so only values for the same
    damage can be compared. The difference in dB does not have this limit.

    Args:
        restored, degraded: N PSNRs in dB.

    Returns:
        N values.

    Example:
        >>> normalised_psnr(torch.tensor([30.0]), torch.tensor([20.0]))
        tensor([1.5000])
    """
    return (restored / degraded.clamp_min(1e-6)).clamp_max(NORMALISED_PSNR_CAP)


def estimated_mos(psnr: Tensor) -> Tensor:
    """Mean opinion score (MOS) estimated from PSNR. No person was asked, so name it an estimate where it is shown.

    The mapping of EvalVid (Klaue et al. 2003, after Ohm 1999): above 37 dB 5 (excellent), above 31 dB 4 (good),
    above 25 dB 3 (fair), above 20 dB 2 (poor), else 1 (bad).

    Args:
        psnr: N PSNRs in dB.

    Returns:
        N integers from 1 to 5.

    Example:
        >>> estimated_mos(torch.tensor([38.0, 28.0, 15.0]))
        tensor([5, 3, 1])
    """
    return torch.bucketize(psnr, torch.tensor([20, 25, 31, 37], dtype=psnr.dtype, device=psnr.device)) + 1


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": psnr, "ssim": ssim, "mse": mse}
"""The metrics of every table: (restored, clean) -> N values."""
