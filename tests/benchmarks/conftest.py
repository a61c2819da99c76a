"""Small data sets in the layout that benchmarks/train_models.py needs."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from gan_restore.images import to_tensor, write


@pytest.fixture(scope="session")
def data_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all data sets, with images of random pixels. No test changes it."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("sets")
    counts = {"bsd400": 30, "sunhays80": 4, "faces/train": 32}
    counts |= {"cbsd68": 3, "set5": 2, "faces/val": 2}
    for name, count in counts.items():
        side = 96 if name == "sunhays80" else 48
        for i in range(count):
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            write(folder / name / f"{name[:2]}{i:02d}.png", to_tensor(pixels))
    rows = [
        f"3,{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{split}"
        for split, count in (("Training", 8), ("PublicTest", 2), ("PrivateTest", 2))
        for _ in range(count)
    ]
    with zipfile.ZipFile(folder / "fer2013.zip", "w") as archive:
        archive.writestr("fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return folder
