"""The classical methods anybody could have used instead: restorers like any other, without learning.

Each takes a batch N x 3 x H x W in [0, 1] on any device and gives one of the same shape there (`bicubic` and
`lanczos` a larger one); the work is done on the CPU, mostly by scikit-image and SciPy. Constants were tuned on
training images only: for noise on 12 crops of BSDS500's photos (none of its val part, where CBSD68 is from), with
Gaussian noise of 15/255 and 25/255 and with "photo damage" (Gaussian blur of 0.8 pixels, noise of 15/255, JPEG at
quality 60).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.fft import dct
from scipy.ndimage import median_filter
from skimage import restoration
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import black_tophat, dilation, disk, white_tophat
from torch import Tensor

from gan_restore.blocks import enlarge
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
        return restoration.inpaint_biharmonic(image, holes, channel_axis=-1).astype(np.float32)

    return _image_by_image(restore, torch.cat([degraded, mask.to(degraded)], dim=1))


def non_local_means(degraded: Tensor) -> Tensor:
    """Non-local means (Buades et al. 2005; scikit-image) for noise as strong as what a median filter removes.

    The usual wavelet estimate of the noise level overlooks impulses: it was made for noise in every pixel.
    """

    def restore(array: np.ndarray) -> np.ndarray:
        sigma = float((array - median_filter(array, size=(3, 3, 1))).std())
        options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
        return restoration.denoise_nl_means(array, h=0.8 * sigma, sigma=sigma, **options)

    return _image_by_image(restore, degraded)


def bicubic(factor: int) -> Restorer:
    """Enlarge by bicubic interpolation: N x 3 x H x W -> N x 3 x factor H x factor W.

    The kernel is Keys' with a = -0.5, that of MATLAB and Pillow; torch takes it only with `antialias` (which
    itself changes nothing when enlarging), and a = -0.75 without.
    """
    return lambda degraded: enlarge(degraded, factor).clamp(0, 1)


def lanczos(factor: int) -> Restorer:
    """Enlarge by Lanczos interpolation with three lobes (Pillow): N x 3 x H x W -> N x 3 x factor H x factor W."""

    def enlarge(array: np.ndarray) -> np.ndarray:
        size = (array.shape[1] * factor, array.shape[0] * factor)
        planes = [Image.fromarray(plane) for plane in np.ascontiguousarray(array.transpose(2, 0, 1))]
        return np.stack([plane.resize(size, Image.Resampling.LANCZOS) for plane in planes], axis=-1)

    return lambda degraded: _image_by_image(enlarge, degraded)


def back_projection(factor: int, iterations: int = 10) -> Restorer:
    """Bicubic enlargement, corrected until it shrinks to the given image again (Irani and Peleg 1991)."""

    def enlarge(degraded: Tensor) -> Tensor:
        restored = bicubic(factor)(degraded)
        for _ in range(iterations):
            small = F.interpolate(restored, size=degraded.shape[-2:], mode="bicubic", antialias=True)
            missing = F.interpolate(degraded - small, scale_factor=factor, mode="bicubic", antialias=True)
            restored = (restored + missing).clamp(0, 1)
        return restored

    return enlarge


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
    return _image_by_image(lambda array: restore(array, next(levels)), degraded)


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


def wiener(blur: float, balance: float = 1e-3) -> Restorer:
    """Undo a Gaussian blur of `blur` pixels by a Wiener filter (Hunt 1973; scikit-image).

    Args:
        balance: the more, the smoother; the default suits a blur of 1.5 pixels without noise, 0.01 denoised images
            and blurs of 3 pixels.
    """

    def sharpen(padded: np.ndarray) -> np.ndarray:
        planes = [restoration.wiener(plane, _gaussian(blur), balance, clip=False) for plane in padded]
        return np.stack(planes)

    return lambda degraded: _image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


def richardson_lucy(blur: float, iterations: int = 30) -> Restorer:
    """Undo a Gaussian blur of `blur` pixels (Richardson 1972, Lucy 1974; scikit-image); noise is amplified."""

    def sharpen(padded: np.ndarray) -> np.ndarray:
        return restoration.richardson_lucy(padded, _gaussian(blur)[None], num_iter=iterations)

    return lambda degraded: _image_by_image(lambda array: _padded(sharpen, array, blur), degraded)


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
) -> Restorer:
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
