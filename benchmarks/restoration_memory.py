"""Peak memory and speed of the restoration of large photos.

    python benchmarks/restoration_memory.py --megapixels 24 96 --checkpoint runs/scratches

Made-up JPEG files; memory depends on sizes only. Linux only, since it reads /proc. Anonymous memory is what the
process needs. A photo in memory takes 3 bytes a pixel, once for the input and once for the result, and while it is
read or written another 4 bytes a pixel in Pillow.
"""

import multiprocessing
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from evaluation_memory import anonymous_memory, watch
from PIL import Image

from gan_restore import inference


@dataclass
class Options:
    megapixels: tuple[float, ...] = (24, 96)
    """Sizes of the photos, with sides of 3 to 2."""
    checkpoint: str = "x4"
    """A model's name, a checkpoint or a run folder."""


def main(options: Options) -> None:
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            make_photo(Path(folder) / "photo.jpg", megapixels)
            # In a process of its own, so that making the photo does not count.
            arguments = folder, options.checkpoint
            process = multiprocessing.get_context("spawn").Process(target=measure, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)


def make_photo(path: Path, megapixels: float) -> None:
    """Smooth colours: quick to make."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    size = round(1.5 * height), height
    small = np.random.default_rng(0).integers(0, 256, (size[1] // 64, size[0] // 64, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size).save(path)


def measure(folder: str, checkpoint: str) -> None:
    restorer = inference.load_restorer(checkpoint, inference.Compute(device="cpu"))
    libraries = anonymous_memory()
    peak = [libraries]
    threading.Thread(target=watch, args=(peak,), daemon=True).start()
    photo = inference.read_photo(f"{folder}/photo.jpg")
    height, width = photo.pixels.shape[-2:]
    megapixels = height * width / 1e6
    read, started = peak[0], time.perf_counter()
    peak[0] = anonymous_memory()
    photo = inference.restore_photo(photo, restorer)
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


if __name__ == "__main__":
    main(tyro.cli(Options))
