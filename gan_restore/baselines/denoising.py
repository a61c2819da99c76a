"""Classical denoising: median, non-local means, total variation, bilateral, DCT."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import dct
from scipy.ndimage import median_filter
from skimage import restoration
from torch import Tensor

from gan_restore.baselines.base import image_by_image


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


def non_local_means(degraded: Tensor) -> Tensor:
    """Non-local means (Buades et al. 2005; scikit-image) for noise as strong as what a median filter removes.

    The usual wavelet estimate of the noise level overlooks impulses: it was made for noise in every pixel.
    """

    def restore(array: np.ndarray) -> np.ndarray:
        sigma = float((array - median_filter(array, size=(3, 3, 1))).std())
        options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
        return restoration.denoise_nl_means(array, h=0.8 * sigma, sigma=sigma, **options)

    return image_by_image(restore, degraded)


def estimate_noise(degraded: Tensor) -> Tensor:
    """The standard deviation of the noise in each image, N values on the [0, 1] scale, at least 0.001.

    The median of the diagonal Haar details over 0.6745 (Donoho and Johnstone 1994). JPEG throws the finest details
    away, and the noise in them; therefore the details of the halved image count too, if they say more. Photos
    have details of that size themselves, so there only the smoother blocks are asked (the first quartile).
    """
    finest = _diagonal_details(degraded).flatten(1)
    halved = _diagonal_details(2 * F.avg_pool2d(degraded, 2)).flatten(0, 1)[:, None]
    block = min(8, *halved.shape[-2:])
    blocks = F.unfold(halved, block, stride=block).median(1).values.view(len(degraded), -1)
    return torch.maximum(finest.median(1).values, blocks.quantile(0.25, dim=1)).div(0.6745).clamp_min(1e-3)


def _diagonal_details(images: Tensor) -> Tensor:
    """The size of the diagonal Haar details, N x C x H/2 x W/2."""
    even = images[..., : images.shape[-2] // 2 * 2, : images.shape[-1] // 2 * 2]
    left, right = even[..., ::2], even[..., 1::2]
    return (left[..., ::2, :] - left[..., 1::2, :] - right[..., ::2, :] + right[..., 1::2, :]).abs() / 2


def _with_noise_level(restore: Callable[[np.ndarray, float], np.ndarray], degraded: Tensor) -> Tensor:
    levels = iter(estimate_noise(degraded.detach().cpu()).tolist())
    return image_by_image(lambda array: restore(array, next(levels)), degraded)


def non_local_means_for_noise(degraded: Tensor) -> Tensor:
    """Non-local means (Buades et al. 2005; scikit-image) for noise in every pixel, at its estimated level."""

    def restore(array: np.ndarray, noise: float) -> np.ndarray:
        sigma = 0.85 * noise  # the estimate takes some texture for noise
        options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
        return restoration.denoise_nl_means(array, h=0.65 * sigma, sigma=sigma, **options)

    return _with_noise_level(restore, degraded)


def total_variation(degraded: Tensor) -> Tensor:
    """Total variation (Rudin et al. 1992; Chambolle's algorithm in scikit-image) for an estimated noise level."""
    chambolle = restoration.denoise_tv_chambolle
    return _with_noise_level(lambda array, noise: chambolle(array, weight=0.65 * noise, channel_axis=-1), degraded)


def bilateral(degraded: Tensor, radius: int = 3, spatial: float = 1.5) -> Tensor:
    """Bilateral filter (Tomasi and Manduchi 1998) for an estimated noise level, in a window of 2 radius + 1.

    Not scikit-image's, which stayed 2 dB behind on colour photos with noise of 15/255 at every setting tried.
    """
    height, width = degraded.shape[-2:]
    colour = 2.5 * estimate_noise(degraded)[:, None, None, None]
    padded = F.pad(degraded, [radius] * 4, mode="reflect")
    total, weights = torch.zeros_like(degraded), torch.zeros_like(degraded[:, :1])
    for down in range(2 * radius + 1):
        for across in range(2 * radius + 1):
            other = padded[..., down : down + height, across : across + width]
            near = ((down - radius) ** 2 + (across - radius) ** 2) / (2 * spatial**2)
            alike = (other - degraded).square().sum(1, keepdim=True) / (2 * colour**2)
            weight = torch.exp(-near - alike)
            total, weights = total + weight * other, weights + weight
    return total / weights


def sliding_dct(degraded: Tensor, noise: float | None = None, stride: int = 2, of_estimate: float = 0.95) -> Tensor:
    """Threshold the cosine transform of overlapping 8 x 8 blocks, then filter by what is left (Wiener).

    DCT denoising (Yu and Sapiro 2011) with a second, empirical Wiener pass as in BM3D. On pure noise it was 1.6
    to 2.2 dB ahead of non-local means.

    Args:
        noise: standard deviation of the noise; estimated if it is not given.
        stride: pixels from block to block; 1 is 0.2 dB better and six times as slow.
        of_estimate: what the estimate is multiplied by; more than 2 where JPEG follows the noise, for what is left
            of it is coarser than the estimate expects.
    """
    levels = [noise] * len(degraded) if noise else (of_estimate * estimate_noise(degraded)).tolist()
    images = zip(degraded.split(1), levels, strict=True)
    return torch.cat([_sliding_dct(image, level, stride) for image, level in images])


def _sliding_dct(image: Tensor, noise: float, stride: int, side: int = 8) -> Tensor:
    height, width = image.shape[-2:]
    cosines = torch.from_numpy(dct(np.eye(side), axis=0, norm="ortho")).to(image)
    blocks = torch.einsum("ik,jl->ijkl", cosines, cosines).reshape(-1, 1, side, side)
    colours = torch.from_numpy(dct(np.eye(3), axis=0, norm="ortho")).to(image)  # about luma and two differences
    planes = torch.einsum("ij,njhw->nihw", colours, image).transpose(0, 1)
    margin = side - stride
    padded = F.pad(planes, [margin, margin - width % -stride, margin, margin - height % -stride], mode="reflect")

    def together(coefficients: Tensor, weight: Tensor) -> Tensor:
        total = F.conv_transpose2d(coefficients * weight, blocks, stride=stride)
        return total / F.conv_transpose2d(weight, torch.ones_like(blocks[:1]), stride=stride)

    coefficients = F.conv2d(padded, blocks, stride=stride)
    kept = coefficients.abs() > 2.7 * noise
    kept[:, 0] = True  # the mean of a block
    first = together(coefficients * kept, 1 / kept.sum(1, keepdim=True).to(image))
    power = F.conv2d(first, blocks, stride=stride).square()
    gain = power / (power + noise**2)
    gain[:, 0] = 1
    second = together(coefficients * gain, 1 / gain.square().sum(1, keepdim=True))
    inner = second[..., margin : margin + height, margin : margin + width].transpose(0, 1)
    return torch.einsum("ij,nihw->njhw", colours, inner).clamp(0, 1)
