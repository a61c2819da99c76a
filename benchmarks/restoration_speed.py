"""Speed of the models of the package on a CPU: photos in tiles, and whole.

    python benchmarks/restoration_speed.py --write    # a quarter of an hour
    python benchmarks/restoration_speed.py --compiled --megapixels 2 --write

Rates are megapixels of the photo, not of its enlargement, for each second of processor time, so that other work on
the machine has little effect. In tiles, a photo is restored as `Restorer` does by default. Whole, it is one tile;
the memory has to suffice for it. Every measurement runs in a process of its own, because the state of the heap
changes the speed, and both ways take turns. The medians count.

With --compiled, the photo is restored in tiles, with and without `torch.compile`, three times each in turn in one
process; the fastest count. Compiling is what the first compiled restoration takes longer, with an empty cache. The
last column is the size of the photos, all together, from which on it pays.
"""

import os
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
START, COMPILED = "<!-- restoration speed -->", "<!-- compiled restoration speed -->"
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
    compiled: bool = False
    """Measure what `torch.compile` brings, instead of what tiles cost."""
    write: bool = False
    """Write the table into docs/restoring.md."""


def main(options: Options) -> None:
    lines = compiled_table(options) if options.compiled else table_of_tiles(options)
    if options.write:
        start = COMPILED if options.compiled else START
        before, rest = DOCS.read_text(encoding="utf-8").split(start, 1)
        table = "\n".join(lines)
        DOCS.write_text(f"{before}{start}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def table_of_tiles(options: Options) -> list[str]:
    """The table, with the rows of models that are not measured as they are in the text."""
    written = DOCS.read_text(encoding="utf-8").split(START, 1)[1].split(END, 1)[0].splitlines()
    lines = [line for line in written if line.startswith("| `") and line.split("`")[1] not in options.models]
    for model in options.models:
        for precision in PRECISIONS:
            runs = [
                [measured(model, precision, options.megapixels, whole) for whole in (TILES, WHOLE)]
                for _ in range(options.rounds)
            ]
            tiles, whole = (statistics.median(run[i][0] for run in runs) for i in range(2))
            _, size, count = runs[0][0]
            lines.append(
                f"| `{model}` | {precision} | {size} | {count} | {tiles:.3f} | {whole:.3f} | {tiles / whole:.2f} | "
                f"{options.rounds} |"
            )
            print(lines[-1], flush=True)
    return [
        "| model | precision | photo | tiles | megapixels a second | whole | ratio | processes |",
        "|---|---|---|---|---|---|---|---|",
        *sorted(lines),
        "",
        f"{processor()}, one thread, torch {torch.__version__}. Each rate is the median of some processes.",
    ]


def compiled_table(options: Options) -> list[str]:
    lines = [
        "| model | precision | megapixels a second | compiled | ratio | seconds to compile | pays from (MP) |",
        "|---|---|---|---|---|---|---|",
    ]
    # Read by each new process: nothing is taken from a cache, and the time to compile is that of one core.
    os.environ |= {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    for model in options.models:
        for precision in PRECISIONS:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                found = pool.submit(measure_compiled, model, precision, options.megapixels).result()
            plain, ours, compiling = found
            gain = 1 / plain - 1 / ours
            lines.append(
                f"| `{model}` | {precision} | {plain:.3f} | {ours:.3f} | {ours / plain:.2f} | {compiling:.0f} | "
                f"{f'{compiling / gain:.0f}' if gain > 0 else 'never'} |"
            )
            print(lines[-1], flush=True)
    return [*lines, "", f"{processor()}, one thread, torch {torch.__version__}."]


def measured(*arguments: str | float | bool) -> tuple[float, str, int]:
    """Run `measure` in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def measure_compiled(
    model: str, precision: inference.devices.Precision, megapixels: float
) -> tuple[float, float, float]:
    """Megapixels a second of processor time without and with `torch.compile`, and the seconds to compile."""
    torch.set_num_threads(1)
    options = {"device": "cpu", "precision": precision}
    ways = [inference.load_restorer(model, inference.Compute(**options, compile=way)) for way in ("off", "on")]
    photo = random_photo(megapixels, ways[0].factor)

    def seconds(restorer: inference.Restorer) -> float:
        begun = sum(os.times()[:4])  # of the compiler's processes too
        restorer(photo)
        return sum(os.times()[:4]) - begun

    first = [seconds(restorer) for restorer in ways]
    plain, ours = (min(times) for times in zip(*([seconds(way) for way in ways] for _ in range(3)), strict=True))
    size = photo[0, 0].numel() / 1e6
    return size / plain, size / ours, first[1] - ours


def measure(
    model: str, precision: inference.devices.Precision, megapixels: float, whole: bool
) -> tuple[float, str, int]:
    """Megapixels a second of processor time, the size of the photo, and the number of its tiles."""
    torch.set_num_threads(1)
    if whole:
        memory.CPU_BYTES, memory._LARGEST = 2**60, 2**30
    restorer = inference.load_restorer(model, inference.Compute("cpu", precision=precision))
    photo = random_photo(megapixels, restorer.factor)
    height = photo.shape[-2]
    restorer(photo[..., :64, :64])  # the first call takes longer
    tiling = restorer._tiling(photo)
    tiles = len(tiling.spans(height)) * len(tiling.spans(photo.shape[-1]))
    begun = time.process_time()
    restorer(photo)
    seconds = time.process_time() - begun
    return photo[0, 0].numel() / 1e6 / seconds, f"{photo.shape[-1]} x {height}", tiles


def random_photo(megapixels: float, factor: int) -> torch.Tensor:
    """A photo whose restored version has this size, with sides of 3 to 2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5 / factor)
    return torch.randint(256, (1, 3, height, round(1.5 * height)), dtype=torch.uint8)


if __name__ == "__main__":
    main(tyro.cli(Options))
