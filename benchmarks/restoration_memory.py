"""Peak memory and speed of the restoration of large photos, and whether the borders of tiles show.

    python benchmarks/restoration_memory.py --megapixels 24 96 --checkpoint runs/scratches
    python benchmarks/restoration_memory.py --megapixels 24 --checkpoint scratches --seams

Made-up JPEG files; memory depends on sizes only. Linux only, since it reads /proc. Anonymous memory is what the
process needs. A photo in memory takes 3 bytes a pixel, once for the input and once for the result, and while it is
read or written another 4 bytes a pixel in Pillow.
"""

import itertools
import multiprocessing
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from evaluation_memory import anonymous_memory, watch
from PIL import Image
from torch import Tensor

from gan_restore import inference
from gan_restore.inference.tiles import Tiling


@dataclass
class Options:
    megapixels: tuple[float, ...] = (24, 96)
    """Sizes of the photos, with sides of 3 to 2."""
    checkpoint: str = "x4"
    """A model's name, a checkpoint or a run folder."""
    seams: bool = False
    """Print `border_steps` too, for models that keep the size."""


def main(options: Options) -> None:
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            make_photo(Path(folder) / "photo.jpg", megapixels)
            # In a process of its own, so that making the photo does not count.
            arguments = folder, options.checkpoint, options.seams
            process = multiprocessing.get_context("spawn").Process(target=measure, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)


def make_photo(path: Path, megapixels: float) -> None:
    """Smooth colours with grain: quick to make."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    size = round(1.5 * height), height
    rng = np.random.default_rng(0)
    small = rng.integers(0, 240, (size[1] // 64, size[0] // 64, 3), dtype=np.uint8)
    grain = rng.integers(0, 16, (size[1], size[0], 1), dtype=np.uint8)
    Image.fromarray(np.asarray(Image.fromarray(small).resize(size)) + grain).save(path)


def border_steps(change: Tensor, tiling: Tiling) -> tuple[float, float]:
    """The largest step at the borders of tiles, and the largest one elsewhere, in [0, 1].

    A step is the difference of two neighbouring columns or rows, averaged over the side of a tile. A seam has the
    same sign along its border, while grain averages out.

    Args:
        change: restored images minus degraded ones, N x C x H x W.
        tiling: the tiles that they were restored in.
    """
    at_borders = elsewhere = 0.0
    for image in (change, change.transpose(2, 3)):
        height, width = image.shape[-2:]
        spans = tiling.spans(width)
        shared = torch.zeros(width - 1, dtype=torch.bool)
        for (_, end), (start, _) in itertools.pairwise(spans):
            shared[start:end] = True
        for top, bottom in tiling.spans(height):
            steps = image[..., top:bottom, :].mean(2).diff(dim=-1).abs().amax((0, 1))
            at_borders = max(at_borders, float(steps[shared].max()))
            elsewhere = max(elsewhere, float(steps[~shared].max()))
    return at_borders, elsewhere


def measure(folder: str, checkpoint: str, seams: bool) -> None:
    restorer = inference.load_restorer(checkpoint, inference.Compute(device="cpu"))
    libraries = anonymous_memory()
    peak = [libraries]
    threading.Thread(target=watch, args=(peak,), daemon=True).start()
    photo = inference.read_photo(f"{folder}/photo.jpg")
    height, width = photo.pixels.shape[-2:]
    megapixels = height * width / 1e6
    read, started = peak[0], time.perf_counter()
    peak[0] = anonymous_memory()
    degraded, photo = photo.pixels, inference.restore_photo(photo, restorer)
    seconds, restored = time.perf_counter() - started, peak[0]
    peak[0] = anonymous_memory()
    inference.write_photo(f"{folder}/restored.jpg", photo)
    images = 3 * megapixels * (1 + restorer.factor**2) * 1e6 / 2**20
    print(
        f"{width} x {height}: {megapixels:.1f} megapixels in {seconds:.0f} s, {megapixels / seconds:.3f} a second"
    )
    print(f"  libraries and network {libraries:.0f} MiB, input and result {images:.0f} MiB")
    print(f"  peak when reading {read:.0f}, restoring {restored:.0f}, writing {peak[0]:.0f} MiB")
    print(f"  restoring, without libraries, input and result: {restored - libraries - images:.0f} MiB", flush=True)
    if seams:
        at_borders, elsewhere = border_steps((photo.pixels.float() - degraded) / 255, restorer._tiling(degraded))
        print(f"  largest step at borders of tiles {255 * at_borders:.2f} of 255, elsewhere {255 * elsewhere:.2f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
