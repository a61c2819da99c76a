"""Blur, loss of resolution and JPEG compression."""

import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_restore.degradations.base import IMAGES_AT_ONCE, Range, Settings, limits, sample
from gan_restore.images import quantise, to_bytes, to_tensor


@dataclass(frozen=True, repr=False)
class GaussianBlur(Settings):
    """Blur with a Gaussian, cut off at three sigma, as a lens out of focus does; the border pixels are repeated.

    Attributes:
        sigma: standard deviation of the Gaussian in pixels.
    """

    sigma: Range = (0.5, 3.0)

    def __post_init__(self) -> None:
        self.check("sigma", 0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        count, channels = clean.shape[:2]
        radius = math.ceil(3 * limits(self.sigma)[1])
        sigma = sample(self.sigma, count, generator).view(-1, 1).clamp(min=1e-3)  # 0 leaves the image as it is
        taps = torch.arange(-radius, radius + 1, device=clean.device)
        kernel = torch.exp(-0.5 * (taps / sigma) ** 2) * (taps.abs() <= (3 * sigma).ceil())
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
        parts = zip(clean.split(IMAGES_AT_ONCE), kernel.split(IMAGES_AT_ONCE * channels), strict=True)
        return torch.cat([_convolved(part, kernels, radius) for part, kernels in parts])


def _convolved(images: Tensor, kernels: Tensor, radius: int) -> Tensor:
    """Each channel of each image convolved with its own kernel, along rows and along columns."""
    planes = images.reshape(1, len(kernels), *images.shape[2:])  # a group of the convolution for each
    sides = ((kernels[:, None, None], (radius, radius, 0, 0)), (kernels[:, None, :, None], (0, 0, radius, radius)))
    for weights, pad in sides:
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), weights, groups=len(kernels))
    return planes.reshape(images.shape).clamp_(0, 1)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic with antialiasing, rounded to 8 bits: the kernel (a = -0.5) of Pillow and of MATLAB's imresize."""
    return quantise(F.interpolate(images, size=size, mode="bicubic", antialias=True))


def shrink_each(clean: Tensor, factor: Range, generator: torch.Generator) -> list[Tensor]:
    """Each image of the batch alone, smaller by a factor of its own."""
    height, width = clean.shape[2:]
    factors = sample(factor, len(clean), generator).flatten().tolist()
    sizes = [(max(1, round(height / by)), max(1, round(width / by))) for by in factors]
    return [resize(image, size) for image, size in zip(clean.split(1), sizes, strict=True)]


@dataclass(frozen=True)
class Downsample:
    """Shrink by a whole factor: bicubic with antialiasing, rounded to 8 bits, as super-resolution is measured.

    The result is N x 3 x H/factor x W/factor. The kernel is the one with a = -0.5 of Pillow and of MATLAB's
    imresize, in which published results are given.

    Raises:
        ValueError: when called, if the height or the width is no multiple of the factor.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.factor, int) or self.factor < 1:
            raise ValueError(f"factor must be a whole number of at least 1, not {self.factor!r}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        height, width = clean.shape[2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"{height} x {width} pixels cannot be shrunk by {self.factor}: cut the image to multiples of it"
            )
        return resize(clean, (height // self.factor, width // self.factor))


@dataclass(frozen=True, repr=False)
class LowResolution(Settings):
    """Lose detail and keep the size: shrink by `factor`, enlarge again; both bicubic, rounded to 8 bits.

    Attributes:
        factor: of height and width, at least 1; need not be whole.
    """

    factor: Range = (2.0, 4.0)

    def __post_init__(self) -> None:
        self.check("factor", 1)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        small = shrink_each(clean, self.factor, generator)
        return torch.cat([resize(image, clean.shape[2:]) for image in small])


@dataclass(frozen=True, repr=False)
class JPEG(Settings):
    """Write and read each image as a JPEG file (libjpeg, colour at half resolution), in memory.

    It runs on the CPU wherever the batch is, in as many threads as torch has: the codecs of GPUs choose another
    colour resolution, so that the same quality would be another damage there.

    Attributes:
        quality: libjpeg's, whole numbers from 1 to 100.
    """

    quality: int | tuple[int, int] = (10, 60)

    def __post_init__(self) -> None:
        self.check("quality", 1, 100)
        if not all(isinstance(end, int) for end in limits(self.quality)):
            raise ValueError(f"quality must be whole numbers, not {self.quality!r}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return torch.cat(self.each(list(clean.split(1)), generator))

    def each(self, images: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """The same for single images (1 x 3 x H x W) that may differ in size."""
        low, high = limits(self.quality)
        draws = torch.randint(low, high + 1, (len(images),), generator=generator, device=generator.device)
        pixels = [to_bytes(image)[0].permute(1, 2, 0).contiguous().cpu().numpy() for image in images]
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            coded = list(threads.map(_through_jpeg, pixels, draws.tolist()))
        return [to_tensor(after).to(image.device) for after, image in zip(coded, images, strict=True)]


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))
