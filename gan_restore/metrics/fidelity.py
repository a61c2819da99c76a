"""How close a restored image is to the clean one. One value an image; batches N x C x H x W in [0, 1].

The protocol is part of a number: every table states channel (RGB or Y), cropped border and range. What needs a
trained network to judge (LPIPS, FID) is in `metrics.perceptual`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

PSNR_CAP = 100.0
"""An image restored without any error has no finite PSNR; it counts as this many dB."""


SSIM_WINDOW = 11
"""Side of the window of SSIM in pixels; smaller images have no SSIM."""

NORMALISED_PSNR_CAP = 4.0
"""The largest normalised PSNR, for the ratio has no bound where the PSNR of the input is near 0 dB."""


def luma(images: Tensor) -> Tensor:
    """The Y channel that super-resolution is measured on: N x 3 x H x W -> N x 1 x H x W.

    BT.601 in studio range, as MATLAB's `rgb2ycbcr`: Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255. Black is
    16 / 255 and white 235 / 255, so an error counts for less than in RGB.

    Example:
        >>> luma(torch.ones(1, 3, 1, 1)) * 255
        tensor([[[[235.]]]])
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=images.dtype, device=images.device)
    return ((images * weights[:, None, None]).sum(1, keepdim=True) + 16) / 255


def mse(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of each image: N values, range [0, 1]."""
    return (restored.double() - clean.double()).square().flatten(1).mean(1)


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB: 10 log10(1 / MSE), at most `PSNR_CAP`.

    Example:
        >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5))
        tensor([20.0000], dtype=torch.float64)
    """
    restored, clean = restored.double(), clean.double()
    values = peak_signal_noise_ratio(restored, clean, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return values.clamp_max(PSNR_CAP)


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004: 11 x 11 Gaussian window, sigma 1.5): N values.

    The same as scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.

    Raises:
        ValueError: if the images are smaller than the window.
    """
    if min(restored.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, not {tuple(restored.shape[-2:])}")
    # In single precision: thirty times as fast as in double, and within 2e-5 of it.
    _, local = structural_similarity_index_measure(
        restored.float(), clean.float(), data_range=1.0, sigma=1.5, reduction="none", return_full_image=True
    )
    return local[..., 5:-5, 5:-5].flatten(1).mean(1)  # windows that lie inside the image, as in the paper


def texture_distance(restored: Tensor, clean: Tensor) -> Tensor:
    """How differently fine detail is distributed, whatever its place: N values in 1/255, 0 for the same texture.

    The Wasserstein-1 distance between the distributions of the brightness steps from pixel to pixel. Blau and
    Michaeli (2018) call the distance between two distributions perception, and that to the one clean image
    distortion. This one needs no trained network; it sees sharpness and noise, and knows nothing of eyes.

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
    """How much each channel became brighter on average, in 1/255: N x C values, negative where it became darker.

    Three unequal values are a colour cast, three equal ones a change of brightness; luma and PSNR hide both.

    Example:
        >>> mean_shift(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5))
        tensor([[25.5000, 25.5000, 25.5000]], dtype=torch.float64)
    """
    return 255 * (restored.double() - clean.double()).mean((2, 3))


def normalised_psnr(restored: Tensor, degraded: Tensor) -> Tensor:
    """PSNR of the restored image over that of the degraded input, at most `NORMALISED_PSNR_CAP`.

    Both arguments are PSNRs in dB. 1 means that nothing was gained, 1.5 half as many decibels again. The zero of
    decibels is arbitrary, so compare it under one damage only; the difference in dB has no such limit.

    Example:
        >>> normalised_psnr(torch.tensor([30.0]), torch.tensor([20.0]))
        tensor([1.5000])
    """
    return (restored / degraded.clamp_min(1e-6)).clamp_max(NORMALISED_PSNR_CAP)


def estimated_mos(psnr: Tensor) -> Tensor:
    """A mean opinion score estimated from PSNR in dB. Nobody was asked: call it an estimate wherever it is shown.

    EvalVid's mapping (Klaue et al. 2003, after Ohm 1999): above 37 dB 5 (excellent), above 31 dB 4 (good), above
    25 dB 3 (fair), above 20 dB 2 (poor), else 1 (bad).

    Example:
        >>> estimated_mos(torch.tensor([38.0, 28.0, 15.0]))
        tensor([5, 3, 1])
    """
    return torch.bucketize(psnr, torch.tensor([20, 25, 31, 37], dtype=psnr.dtype, device=psnr.device)) + 1


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": psnr, "ssim": ssim, "mse": mse}
