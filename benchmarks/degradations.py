"""Measure the speed of degradations, one by one and in batches, and of bicubic downsampling, here and in Pillow.

    python benchmarks/degradations.py

The photos are crops of one that is inside scikit-image. The two columns of a line are measured alternately, and the
best time of each counts. With one thread this is processor time, so other work on the machine has little effect.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import skimage.data
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from torch import Tensor

from gan_restore.degradations.base import Compose, Degradation, seeded
from gan_restore.degradations.blind import BlindFace
from gan_restore.degradations.blur_and_codec import JPEG, Downsample, GaussianBlur, LowResolution
from gan_restore.degradations.noise import GaussianNoise, SaltAndPepper
from gan_restore.degradations.overlays import ScratchOverlay
from gan_restore.degradations.scratches import Scratches
from gan_restore.images import to_bytes, to_tensor, write


@dataclass
class Options:
    device: str = "cpu"
    """Device of the batches; bicubic downsampling is compared on the CPU, where Pillow computes."""
    size: int = 256
    """Side of the square photos in pixels."""
    batch: int = 16
    """Photos in a batch."""
    rounds: int = 15
    """Measurements of each column."""


def main(options: Options) -> None:
    batch = photos(options.batch, options.size)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(3):
            mask = Scratches().with_mask(torch.zeros(1, 3, 600, 600), seeded(i))[1]
            write(Path(folder) / f"{i}.png", mask.expand(-1, 3, -1, -1))
        kinds = {
            "SaltAndPepper()": SaltAndPepper(),
            "GaussianNoise((0, 0.1))": GaussianNoise((0, 0.1)),
            "GaussianBlur(1)": GaussianBlur(1),
            "GaussianBlur((0.5, 3))": GaussianBlur(),
            "Downsample(2)": Downsample(2),
            "LowResolution((2, 4))": LowResolution(),
            "JPEG((10, 60))": JPEG(),
            "BlindFace()": BlindFace(),
            "Scratches()": Scratches(),
            "ScratchOverlay(...)": ScratchOverlay(folder),
            "Compose(Scratches(), GaussianNoise(0.02))": Compose(Scratches(), GaussianNoise(0.02)),
        }
        size = f"{options.size} x {options.size}"
        print(f"{torch.get_num_threads()} thread(s), {options.device}, photos of {size} pixels\n")
        print(f"| degradation | one by one, photos/s | in batches of {options.batch}, photos/s | ratio |")
        print("|---|---|---|---|")
        on_device = batch.to(options.device)
        for name, damage in kinds.items():
            generator = seeded(0, options.device)
            alone, together = (
                partial(one_by_one, damage, on_device, generator),
                partial(damage, on_device, generator),
            )
            report(name, alone, together, options)
    print("\n| bicubic downsampling x2 | Pillow, photos/s | uint8 batch, photos/s | ratio |\n|---|---|---|---|")
    report("uint8 -> uint8", *bicubic(to_bytes(batch)), options)


def photos(count: int, size: int) -> Tensor:
    """Random crops of one photo, count x 3 x size x size."""
    photo = to_tensor(skimage.data.astronaut())
    spare = [side - size for side in photo.shape[2:]]
    corners = torch.rand(count, 2, generator=seeded(0)).mul(torch.tensor(spare)).int().tolist()
    return torch.cat([photo[..., top : top + size, left : left + size] for top, left in corners])


def one_by_one(damage: Degradation, batch: Tensor, generator: torch.Generator) -> list[Tensor]:
    return [damage(image, generator) for image in batch.split(1)]


def bicubic(pixels: Tensor) -> tuple[Callable[[], object], Callable[[], object]]:
    """Two functions that halve the resolution of a batch of bytes: Pillow's and PyTorch's."""
    half = pixels.shape[3] // 2, pixels.shape[2] // 2
    pictures = [Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()) for image in pixels]
    # The memory layout of decoded photos, for which PyTorch has a fast kernel.
    channels_last = pixels.contiguous(memory_format=torch.channels_last)
    return (
        lambda: [picture.resize(half, Image.Resampling.BICUBIC) for picture in pictures],
        lambda: F.interpolate(channels_last, size=half[::-1], mode="bicubic", antialias=True),
    )


def report(name: str, first: Callable[[], object], second: Callable[[], object], options: Options) -> None:
    """Print one line of a table."""
    clock = time.process_time if torch.get_num_threads() == 1 and options.device == "cpu" else time.perf_counter
    best = [float("inf")] * 2
    for round_ in range(options.rounds + 1):  # the first one is not counted
        for side, run in enumerate((first, second)):
            start = clock()
            run()
            if options.device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_:
                best[side] = min(best[side], clock() - start)
    rates = [options.batch / seconds for seconds in best]
    print(f"| `{name}` | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[1] / rates[0]:.2f} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
