"""Peak memory of `gan-restore evaluate` on many large photos.

    python benchmarks/evaluation_memory.py --photos 200 --recipe srgan

Made-up JPEG files and an untrained network of scale `smoke`: memory depends on sizes only. Linux only, since it
reads /proc. Anonymous memory is what the process itself needs; the decoded photos are a memory map beside it, whose
pages belong to the system's cache.
"""

import multiprocessing
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from gan_restore import evaluation, inference, recipes


@dataclass
class Options:
    photos: int = 200
    """Number of photos."""
    width: int = 2040
    """Width of each in pixels."""
    height: int = 1356
    """Height of each in pixels."""
    recipe: str = "srgan"
    """The recipe whose network and classical methods are evaluated."""


def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GAN_RESTORE_CACHE"] = str(folder / "cache")
        make_photos(folder / "photos", options)
        recipe = recipes.get(options.recipe, "smoke")
        inference.save_generator(folder / inference.BEST, recipe.generator(), recipe, step=0, own_data=True)
        # In a process of its own, so that making the photos does not count.
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(folder, options))
        process.start()
        process.join()
    raise SystemExit(process.exitcode)


def make_photos(folder: Path, options: Options) -> None:
    """Smooth colours with some noise: large JPEG files, quick to make."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(options.photos):
        small = rng.integers(0, 256, (options.height // 8, options.width // 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((options.width, options.height)).save(folder / f"{i:04d}.jpg")


def measure(folder: Path, options: Options) -> None:
    libraries = anonymous_memory()
    peak = [libraries]
    threading.Thread(target=watch, args=(peak,), daemon=True).start()
    started = time.perf_counter()
    compute = inference.Compute(device="cpu")
    rows = evaluation.evaluate_checkpoint(folder / inference.BEST, str(folder / "photos"), "all", compute=compute)
    names = ", ".join(row["method"] for row in rows)
    print(f"{rows[0]['n_images']} photos of {rows[0]['sizes']} pixels, by {names}")
    print(f"libraries {libraries:.0f} MiB, peak {peak[0]:.0f} MiB, evaluation {peak[0] - libraries:.0f} MiB")
    print(f"{time.perf_counter() - started:.0f} seconds")


def watch(peak: list[float]) -> None:
    while True:
        peak[0] = max(peak[0], anonymous_memory())
        time.sleep(0.005)


def anonymous_memory() -> float:
    """Resident memory of this process in MiB that is not backed by a file."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024


if __name__ == "__main__":
    main(tyro.cli(Options))
