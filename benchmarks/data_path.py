"""Measure the speed of data loading: files decoded for every crop, a plain `DataLoader`, and the cache.

    python benchmarks/data_path.py --data photos/

Random crops, without degradation. All ways are measured alternately, and the best time of each counts. Without
worker processes this is processor time, so a rate is per core and other work has little effect. Then a
recipe is trained for an epoch at the scale `small`, and the share of a step spent waiting for data is printed.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip, ToTensor

from gan_restore import recipes, training
from gan_restore.data.batches import Batches
from gan_restore.data.datasets import load
from gan_restore.images import list_images
from gan_restore.inference.devices import Compute


@dataclass
class Options:
    data: Path
    """A folder of photos, none smaller than the crops."""
    size: int = 256
    """Side of the square crops in pixels."""
    batch: int = 16
    """Crops in a batch."""
    workers: int = 0
    """Worker processes of the two loaders; with any, the wall-clock time is measured instead of processor time."""
    rounds: int = 3
    """Epochs measured for each way."""
    recipe: str = "unet-denoiser"
    """The recipe whose waiting time is measured; empty for none."""
    device: str = "auto"
    """The device for the training."""


class PlainFolder(Dataset):
    """The images of a folder, loaded as in `torchvision.datasets.ImageFolder` but without classes."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths = paths
        self.transform = Compose([RandomCrop(size), RandomHorizontalFlip(), ToTensor()])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def main(options: Options) -> None:
    torch.set_num_threads(1)
    ways = ways_to_load(options)
    clock = time.perf_counter if options.workers else time.process_time
    best = dict.fromkeys(ways, 0.0)
    for _ in range(options.rounds):
        for name, epoch in ways.items():
            begun = clock()
            images = epoch()
            best[name] = max(best[name], images / (clock() - begun))
    plain = best["plain DataLoader, mirrored"]
    print(f"| crops of {options.size} from {options.data.name} | images per second | relative to DataLoader |")
    print("|---|---|---|")
    for name, rate in best.items():
        print(f"| {name} | {rate:,.0f} | {rate / plain:.1f} x |")
    if options.recipe:
        wait, step = wait_for_data(options)
        device = Compute(device=options.device).fabric().device
        print(f"\n{options.recipe} at small on {device}, {torch.get_num_threads()} thread: a step takes ", end="")
        print(
            f"{1000 * (wait + step):.1f} ms, {1000 * wait:.2f} ms of it ({wait / (wait + step):.2%}) wait for data"
        )


def ways_to_load(options: Options) -> dict[str, Callable[[], int]]:
    """For each way, a function that loads one crop of every image and returns the number of crops."""
    paths = list_images(options.data)
    plain = DataLoader(
        PlainFolder(paths, options.size), options.batch, shuffle=True, num_workers=options.workers, drop_last=True
    )
    images = load(options.data, "all")

    def one_by_one() -> int:
        return sum(len(random_crop(path, options.size)[None]) for path in paths)

    def from_cache(augment: str) -> int:
        batches = Batches(images, options.size, options.batch, augment=augment)
        # Ten epochs: for one, starting the loader would take longer than loading.
        return sum(len(batch) for batch in batches.loader(0, 10 * len(batches), options.workers))

    return {
        "Pillow, one by one": one_by_one,
        "plain DataLoader, mirrored": lambda: sum(len(batch) for batch in plain),
        "cache and Batches": lambda: from_cache("none"),
        "cache and Batches, mirrored": lambda: from_cache("flip"),
        "cache and Batches, mirrored and turned": lambda: from_cache("dihedral"),
    }


def random_crop(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as image:
        left, top = (random.randint(0, side - size) for side in image.size)
        return np.asarray(image.convert("RGB").crop((left, top, left + size, top + size)))


def wait_for_data(options: Options) -> tuple[float, float]:
    """Mean seconds of a training step: waiting for its batch, and everything else."""
    recipe = recipes.get(options.recipe, "small", data=str(options.data), epochs=1, crops_per_image=1)
    with timed_loader() as (waits, steps), tempfile.TemporaryDirectory() as folder:
        training.train(recipe, folder, Compute(device=options.device))
    # The first step starts the loader and the device, the last validates.
    return float(np.mean(waits[1:-1])), float(np.mean(steps[1:-1]))


@contextmanager
def timed_loader() -> Iterator[tuple[list[float], list[float]]]:
    """Inside the block, record for each batch the seconds spent waiting for it and the seconds spent using it."""
    waits: list[float] = []
    steps: list[float] = []
    loader = Batches.loader

    def timed(self: Batches, start: int, stop: int, workers: int = 0) -> Iterator[Tensor]:
        batches = loader(self, start, stop, workers)
        while True:
            begun = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            waits.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            yield batch
            steps.append(time.perf_counter() - begun)

    Batches.loader = timed
    try:
        yield waits, steps
    finally:
        Batches.loader = loader


if __name__ == "__main__":
    main(tyro.cli(Options))
