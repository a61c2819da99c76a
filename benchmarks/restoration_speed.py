"""Speed of the models of the package on a CPU: photos in tiles, and whole.

    python benchmarks/restoration_speed.py --write    # a quarter of an hour

Rates are megapixels of the photo, not of its enlargement, for each second of processor time, so that other work on
the machine has little effect. In tiles, a photo is restored as `Restorer` does by default. Whole, it is one tile;
the memory has to suffice for it. Every measurement runs in a process of its own, because the state of the heap
changes the speed, and both ways take turns. The medians count.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
import tyro
from training_speed import END, processor

from gan_restore import inference
from gan_restore.inference import memory

DOCS = Path(__file__).parents[1] / "docs" / "restoring.md"
START = "<!-- restoration speed -->"
PRECISIONS = ("32-true", "bf16-mixed")
WHOLE, TILES = True, False


@dataclass
class Options:
    """What is measured."""

    models: tuple[str, ...] = tuple(inference.model_names())
    """Names of models."""
    megapixels: float = 8.0
    """Of the restored photo, with sides of 3 to 2."""
    rounds: int = 1
    """Processes of each kind."""
    write: bool = False
    """Write the table into docs/restoring.md."""


def main(options: Options) -> None:
    lines = [
        "| model | precision | photo | tiles | megapixels a second | whole | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in options.models:
        for precision in PRECISIONS:
            runs = [
                [measured(model, precision, options.megapixels, whole) for whole in (TILES, WHOLE)]
                for _ in range(options.rounds)
            ]
            tiles, whole = (statistics.median(run[i][0] for run in runs) for i in range(2))
            _, size, count = runs[0][0]
            lines.append(
                f"| `{model}` | {precision} | {size} | {count} | {tiles:.3f} | {whole:.3f} | {tiles / whole:.2f} |"
            )
            print(lines[-1], flush=True)
    lines += ["", f"{processor()}, one thread, torch {torch.__version__}. Medians of {options.rounds} processes."]
    if options.write:
        before, rest = DOCS.read_text(encoding="utf-8").split(START, 1)
        table = "\n".join(lines)
        DOCS.write_text(f"{before}{START}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def measured(*arguments: str | float | bool) -> tuple[float, str, int]:
    """Run `measure` in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def measure(
    model: str, precision: inference.devices.Precision, megapixels: float, whole: bool
) -> tuple[float, str, int]:
    """Megapixels a second of processor time, the size of the photo, and the number of its tiles."""
    torch.set_num_threads(1)
    if whole:
        memory.CPU_BYTES, memory._LARGEST = 2**60, 2**30
    restorer = inference.load_restorer(model, inference.Compute("cpu", precision=precision))
    height = round((megapixels * 1e6 / 1.5) ** 0.5 / restorer.factor)
    photo = torch.randint(256, (1, 3, height, round(1.5 * height)), dtype=torch.uint8)
    restorer(photo[..., :64, :64])  # the first call takes longer
    tiling = restorer._tiling(photo)
    tiles = len(tiling.spans(height)) * len(tiling.spans(photo.shape[-1]))
    begun = time.process_time()
    restorer(photo)
    seconds = time.process_time() - begun
    return photo[0, 0].numel() / 1e6 / seconds, f"{photo.shape[-1]} x {height}", tiles


if __name__ == "__main__":
    main(tyro.cli(Options))
