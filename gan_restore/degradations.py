"""Damage done on purpose, so that the undamaged image is known.

A degradation is anything callable `(clean, generator) -> degraded` on a batch N x 3 x H x W in [0, 1], on
the batch's device. It is random only through the `torch.Generator` it is given: the same seed on the same
kind of device gives the same damage. A setting that is a `Range` is a number, or a pair (low, high) from which
each image draws its own value.
"""

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_restore.images import quantise, to_bytes, to_tensor

Degradation = Callable[[Tensor, torch.Generator], Tensor]
Range = float | tuple[float, float]
_AT_ONCE = 4  # images in one convolution: more do not fit into a processor's cache and take longer


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that starts from `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


def random_seed(*numbers: int) -> int:
    """One well-mixed seed from several numbers, such as a run's seed and a step."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def ends(value: Range) -> tuple[float, float]:
    """Lowest and highest value of a setting: twice the number, or the pair."""
    low, high = value if isinstance(value, Sequence) else (value, value)
    return low, high


def drawn(value: Range, count: int, generator: torch.Generator) -> Tensor:
    """A value for each of `count` images, uniform in the range: count x 1 x 1 x 1 on the generator's device."""
    low, high = ends(value)
    if low == high:
        return torch.full((count, 1, 1, 1), float(low), device=generator.device)
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)


class Settings:
    """What the dataclasses here have in common: a short `repr` for tables, and checked settings."""

    def __repr__(self) -> str:
        fields = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in fields)})"

    def check(self, name: str, lowest: float, highest: float = math.inf) -> None:
        """Raise ValueError unless the setting is a number, or a pair low <= high, from `lowest` to `highest`."""
        value = getattr(self, name)
        try:
            low, high = ends(value)
            right = lowest <= low <= high <= highest and high < math.inf
        except (TypeError, ValueError):
            right = False
        if not right:
            bounds = f"at least {lowest}" if highest == math.inf else f"from {lowest} to {highest}"
            raise ValueError(f"{name} must be a number or a pair (low, high), {bounds}, not {value!r}")


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True, repr=False)
class SaltAndPepper(Settings):
    """Replace whole pixels by white (salt) or black (pepper), as dead sensor cells and bit errors do.

    Each pixel is hit with probability `density`, all its channels together; a hit pixel is white with
    probability `salt`. What is not hit is not changed at all.

    Attributes:
        density: share of the pixels that are hit, in [0, 1].
        salt: share of the hit pixels that become white, in [0, 1].

    Example:
        >>> SaltAndPepper(0.06)(torch.full((1, 3, 100, 100), 0.5), seeded(0)).eq(1).float().mean()
        tensor(0.0306)
    """

    density: float = 0.06
    salt: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.density <= 1 and 0 <= self.salt <= 1):
            raise ValueError(f"density and salt are shares in [0, 1], not {self.density} and {self.salt}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        draw = torch.rand(clean.shape[0], 1, *clean.shape[2:], generator=generator, device=clean.device)
        white = draw < self.density * self.salt
        black = (draw >= self.density * self.salt) & (draw < self.density)
        return clean.masked_fill(white, 1.0).masked_fill_(black, 0.0)


@dataclass(frozen=True, repr=False)
class GaussianNoise(Settings):
    """Add independent normal noise to every channel of every pixel, then clip to [0, 1].

    Attributes:
        sigma: standard deviation on the [0, 1] scale; 25 / 255 is the denoising literature's usual one.
    """

    sigma: Range = 25 / 255

    def __post_init__(self) -> None:
        self.check("sigma", 0)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        sigma = drawn(self.sigma, len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        # In place: in batches, new memory costs more than the sums.
        return noise.mul_(sigma).add_(clean).clamp_(0, 1)


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
        radius = math.ceil(3 * ends(self.sigma)[1])
        sigma = drawn(self.sigma, count, generator).view(-1, 1).clamp(min=1e-3)  # 0 leaves the image as it is
        taps = torch.arange(-radius, radius + 1, device=clean.device)
        kernel = torch.exp(-0.5 * (taps / sigma) ** 2) * (taps.abs() <= (3 * sigma).ceil())
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
        parts = zip(clean.split(_AT_ONCE), kernel.split(_AT_ONCE * channels), strict=True)
        return torch.cat([_convolved(part, kernels, radius) for part, kernels in parts])


def _convolved(images: Tensor, kernels: Tensor, radius: int) -> Tensor:
    """Each channel of each image convolved with its own kernel, along rows and along columns."""
    planes = images.reshape(1, len(kernels), *images.shape[2:])  # a group of the convolution for each
    sides = ((kernels[:, None, None], (radius, radius, 0, 0)), (kernels[:, None, :, None], (0, 0, radius, radius)))
    for weights, pad in sides:
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), weights, groups=len(kernels))
    return planes.reshape(images.shape).clamp_(0, 1)


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic with antialiasing, rounded to 8 bits: the kernel (a = -0.5) of Pillow and of MATLAB's imresize."""
    return quantise(F.interpolate(images, size=size, mode="bicubic", antialias=True))


def _shrunk(clean: Tensor, factor: Range, generator: torch.Generator) -> list[Tensor]:
    """Each image of the batch alone, smaller by a factor of its own."""
    height, width = clean.shape[2:]
    factors = drawn(factor, len(clean), generator).flatten().tolist()
    sizes = [(max(1, round(height / by)), max(1, round(width / by))) for by in factors]
    return [_resize(image, size) for image, size in zip(clean.split(1), sizes, strict=True)]


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
        return _resize(clean, (height // self.factor, width // self.factor))


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
        small = _shrunk(clean, self.factor, generator)
        return torch.cat([_resize(image, clean.shape[2:]) for image in small])


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
        if not all(isinstance(end, int) for end in ends(self.quality)):
            raise ValueError(f"quality must be whole numbers, not {self.quality!r}")

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return torch.cat(self.each(list(clean.split(1)), generator))

    def each(self, images: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """The same for single images (1 x 3 x H x W) that may differ in size."""
        low, high = ends(self.quality)
        draws = torch.randint(low, high + 1, (len(images),), generator=generator, device=generator.device)
        pixels = [to_bytes(image)[0].permute(1, 2, 0).contiguous().cpu().numpy() for image in images]
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            coded = list(threads.map(_through_jpeg, pixels, draws.tolist()))
        return [to_tensor(after).to(image.device) for after, image in zip(coded, images, strict=True)]


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))


@dataclass(frozen=True, repr=False)
class BlindFace(Settings):
    """The blind mixture for faces (Wang et al. 2021, GFPGAN): blur, shrink, noise, JPEG, back to the old size.

    Every image draws each setting for itself; noise and JPEG act on the small image, so that they come back
    enlarged, as in a photo that was sent around. Blur and factor are milder than the paper's (0.2 to 10, 1 to 8),
    noise and JPEG stronger (0 to 15 / 255, 60 to 100); resizing is bicubic.

    Attributes:
        blur: sigma of the Gaussian blur in pixels.
        factor: by which the image is shrunk.
        noise: sigma of the Gaussian noise on the [0, 1] scale.
        quality: of the JPEG codec.
    """

    blur: Range = (0.2, 1.5)
    factor: Range = (1.0, 2.5)
    noise: Range = (10 / 255, 30 / 255)
    quality: int | tuple[int, int] = (40, 90)

    def __post_init__(self) -> None:
        self.check("blur", 0)
        self.check("factor", 1)
        self.check("noise", 0)
        JPEG(self.quality)

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        small = _shrunk(GaussianBlur(self.blur)(clean, generator), self.factor, generator)
        noise = GaussianNoise(self.noise)
        coded = JPEG(self.quality).each([noise(image, generator) for image in small], generator)
        return torch.cat([_resize(image, clean.shape[2:]) for image in coded])


class Compose:
    """Several degradations one after the other, as a real photo suffers them.

    Example:
        >>> Compose(GaussianNoise(0.02), SaltAndPepper(0.01))(clean, seeded(0))
    """

    def __init__(self, *steps: Degradation) -> None:
        self.steps = steps

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        for step in self.steps:
            clean = step(clean, generator)
        return clean

    def with_mask(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same damage, and where it lies: the maximum of the steps' masks, N x 1 x H x W in [0, 1].

        A step without a mask of its own, such as noise, is everywhere and adds nothing to it.

        Raises:
            ValueError: if no step has a mask.
        """
        masks = []
        for step in self.steps:
            if hasattr(step, "with_mask"):
                clean, mask = step.with_mask(clean, generator)
                masks.append(mask)
            else:
                clean = step(clean, generator)
        if not masks:
            raise ValueError(f"no step of {self} has a mask")
        return clean, torch.stack(masks).amax(0)

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"
