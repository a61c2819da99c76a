"""Blur, loss of resolution and JPEG compression."""

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_restore.degradations.base import Range, Settings, bounds, sample_uniform
from gan_restore.images import quantise, to_bytes, to_tensor

_IMAGES_AT_ONCE = 4  # in one convolution: more do not fit into a processor's cache and take longer


@dataclass(frozen=True, repr=False)
class GaussianBlur(Settings):
    """Convolve with a Gaussian, as a lens that is slightly out of focus does.

    The kernel is cut off at three sigma, and pixels beyond the border repeat the border.

    Attributes:
        sigma: standard deviation of the Gaussian in pixels.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> GaussianBlur((0.5, 2.0))(torch.rand(2, 3, 32, 48), seeded(0)).shape
        torch.Size([2, 3, 32, 48])
    """

    sigma: Range = (0.5, 3.0)

    def __post_init__(self) -> None:
        self.check_range("sigma", 0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the blurred batch of the same shape."""
        count, channels = clean.shape[:2]
        radius = math.ceil(3 * bounds(self.sigma)[1])
        sigma = sample_uniform(self.sigma, count, generator).view(-1, 1).clamp(min=1e-3)  # 0 keeps the image
        taps = torch.arange(-radius, radius + 1, device=clean.device)
        kernel = torch.exp(-0.5 * (taps / sigma) ** 2) * (taps.abs() <= (3 * sigma).ceil())
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
        parts = zip(clean.split(_IMAGES_AT_ONCE), kernel.split(_IMAGES_AT_ONCE * channels), strict=True)
        return torch.cat([_convolved(part, kernels, radius) for part, kernels in parts])


def _convolved(images: Tensor, kernels: Tensor, radius: int) -> Tensor:
    """Convolve each channel of each image with its own kernel, a row of `kernels`, along rows and columns."""
    planes = images.reshape(1, len(kernels), *images.shape[2:])  # each plane is a group of the convolution
    sides = ((kernels[:, None, None], (radius, radius, 0, 0)), (kernels[:, None, :, None], (0, 0, radius, radius)))
    for weights, pad in sides:
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), weights, groups=len(kernels))
    return planes.reshape(images.shape).clamp_(0, 1)


def resize(images: Tensor, size: Sequence[int]) -> Tensor:
    """Resize by bicubic interpolation with antialiasing, and round to 8 bits: N x C x H x W -> N x C x size.

    The kernel is Keys' with a = -0.5, that of Pillow and of MATLAB's imresize.

    Args:
        images: in [0, 1].
        size: new height and width.
    """
    return quantise(F.interpolate(images, size=list(size), mode="bicubic", antialias=True))


def shrink_each(clean: Tensor, factor: Range, generator: torch.Generator) -> list[Tensor]:
    """Shrink each image of a batch N x C x H x W by a factor of its own.

    Returns:
        N images 1 x C x H/factor x W/factor, rounded to whole pixels.
    """
    height, width = clean.shape[2:]
    factors = sample_uniform(factor, len(clean), generator).flatten().tolist()
    sizes = [(max(1, round(height / by)), max(1, round(width / by))) for by in factors]
    return [resize(image, size) for image, size in zip(clean.split(1), sizes, strict=True)]


@dataclass(frozen=True)
class Downsample:
    """Shrink by a whole factor with antialiased bicubic interpolation, the protocol of super-resolution.

    Results are rounded to 8 bits. The kernel is Keys' with a = -0.5, that of Pillow and of MATLAB's imresize, which
    published results are based on.

    Attributes:
        factor: of height and width, at least 1.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> Downsample(4)(torch.rand(1, 3, 32, 48), seeded(0)).shape
        torch.Size([1, 3, 8, 12])
    """

    factor: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.factor, int) or self.factor < 1:
            raise ValueError(f"factor must be a whole number of at least 1, not {self.factor!r}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 3 x H/factor x W/factor. Nothing is drawn from the generator.

        Raises:
            ValueError: if the height or the width is no multiple of the factor.
        """
        height, width = clean.shape[2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"{height} x {width} pixels cannot be shrunk by {self.factor}: crop the image to multiples of it"
            )
        return resize(clean, (height // self.factor, width // self.factor))


@dataclass(frozen=True, repr=False)
class LowResolution(Settings):
    """Lose detail but keep the size: shrink by `factor` and enlarge again, both bicubic, rounded to 8 bits.

    Attributes:
        factor: of height and width, at least 1; it need not be whole.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> LowResolution(2.5)(torch.rand(2, 3, 37, 31), seeded(0)).shape
        torch.Size([2, 3, 37, 31])
    """

    factor: Range = (2.0, 4.0)

    def __post_init__(self) -> None:
        self.check_range("factor", 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the degraded batch of the same shape."""
        small = shrink_each(clean, self.factor, generator)
        return torch.cat([resize(image, clean.shape[2:]) for image in small])


@dataclass(frozen=True, repr=False)
class JPEG(Settings):
    """Compress each image with JPEG and decompress it, in memory (libjpeg, chroma subsampling 4:2:0).

    It runs on the CPU, in as many threads as PyTorch uses, wherever the batch is. The codecs of GPUs subsample
    chroma in another way, so that the same quality would mean other damage.

    Attributes:
        quality: of libjpeg, whole numbers from 1 to 100.

    Example:
        >>> from gan_restore.degradations import seeded
        >>> JPEG((10, 60))(torch.rand(2, 3, 37, 31), seeded(0)).shape
        torch.Size([2, 3, 37, 31])
    """

    quality: int | tuple[int, int] = (10, 60)

    def __post_init__(self) -> None:
        self.check_range("quality", 1, 100)
        if not all(isinstance(end, int) for end in bounds(self.quality)):
            raise ValueError(f"quality must be whole numbers, not {self.quality!r}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """N x 3 x H x W in [0, 1] -> the compressed batch of the same shape."""
        return torch.cat(self.compress(list(clean.split(1)), generator))

    def compress(self, images: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """Compress single images (1 x 3 x H x W in [0, 1]) that may differ in size; shapes are kept."""
        low, high = map(int, bounds(self.quality))
        draws = torch.randint(low, high + 1, (len(images),), generator=generator, device=generator.device)
        pixels = [to_bytes(image)[0].permute(1, 2, 0).contiguous().cpu().numpy() for image in images]
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            compressed = list(threads.map(_through_jpeg, pixels, draws.tolist()))
        return [to_tensor(after).to(image.device) for after, image in zip(compressed, images, strict=True)]


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Compress and decompress one image H x W x 3, uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))
