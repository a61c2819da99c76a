"""Measure the speed of a training step: the library's, and a plain PyTorch step of the same networks.

    python benchmarks/training_speed.py                                        # all recipes at full; about an hour
    python benchmarks/training_speed.py --recipes srgan:2 --scale smoke
    python benchmarks/training_speed.py --variants bf16-mixed bf16-mixed-compiled --write
    python benchmarks/training_speed.py --parts            # what each part of the speed brings

A step starts from a batch of bytes, as the cache holds it, and ends with updated weights. The variants are:

- plain: as the published notebooks write it: float32, tensors in PyTorch's default layout, PyTorch's own layers,
  Adam without options, the discriminator's gradients computed in the generator's step and thrown away, losses read
  in every step;
- 32-true and bf16-mixed: `Trainer.training_step` in that precision;
- without-...: as bf16-mixed, but without one part of what makes it fast: see `timed_steps.without`;
- 32-true-compiled and bf16-mixed-compiled: with the networks compiled by `torch.compile`; bf16-mixed-cuda-graphs:
  and recorded on a GPU. Compiling is what the first step takes longer than the others, with an empty cache and on
  one core.

Every measurement runs in a process of its own, because the state of the heap changes the speed, and the variants
take turns. The medians count. Rates are per second of processor time, so that other work on the machine has little
effect; the wall-clock time is printed beside it. On a GPU, the share of it in which a step waits for its batch is
printed too; `--workers 4` has four processes prepare batches. The share of the peak is the step's floating-point
operations per second (of convolutions and matrix products, `torch.utils.flop_counter`) over those of a large matrix
product in the same precision.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from timed_steps import STAGES, Variant, compile_of, one_step, precision_of
from torch.utils.flop_counter import FlopCounterMode

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError
from gan_restore.inference.compiling import Compile
from gan_restore.inference.environment import device_name
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES

README = Path(__file__).parent / "README.md"
LIMIT = os.environ.get("ATEN_CPU_CAPABILITY", "")
"""The instructions that PyTorch is limited to, such as avx2."""
START, END = "<!-- training speed: {} -->", "<!-- end -->"

PARTS: tuple[Variant, ...] = ("bf16-mixed", *(name for name in get_args(Variant) if name.startswith("without")))
Measured = dict[str, Any]

WARM_UP: dict[Compile, int] = {"off": 0, "on": 1, "cuda-graphs": 3}
"""Steps after which everything is compiled and recorded."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    recipes: tuple[str, ...] = ("unet-denoiser", "pix2pix", "resnet-gan", "face-cgan", *STAGES)
    """Names of recipes; of `srgan` there are three steps, see `STAGES`."""
    variants: tuple[Variant, ...] = ("plain", "32-true", "bf16-mixed")
    """Ways to compute a step; the first is the one that the others are compared with."""
    scale: Scale = "full"
    """The recipes' scale."""
    steps: int = 3
    """Steps in each process, after one that does not count."""
    rounds: int = 3
    """Processes of each variant."""
    threads: int = 1
    """Number of threads on the CPU."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cuda measures wall-clock time, with the device's work finished at both ends."""
    workers: int = 0
    """Processes that prepare batches."""
    parts: bool = False
    """Measure the step in bf16-mixed without each of its parts, instead of `variants`."""
    write: bool = False
    """Write the table of this scale into benchmarks/README.md."""


def main(options: Options) -> None:
    """Measure all variants of all recipes and print the table."""
    if options.parts:
        options = replace(options, variants=PARTS)
    with_compiler = any(compile_of(variant) != "off" for variant in options.variants)
    on_gpu = options.device == "cuda"
    names = [options.scale, *["compiled"] * with_compiler, *["parts"] * options.parts, *[LIMIT] * bool(LIMIT)]
    names += ["cuda"] * on_gpu
    mark = START.format(", ".join(names))
    if options.write and mark not in README.read_text(encoding="utf-8"):
        raise UserError(f"{README} has no line {mark}; add it where the table belongs")
    known = [*(name for name in RECIPES if name != "srgan"), *STAGES]
    if unknown := [name for name in options.recipes if name not in known]:
        raise UserError(f"no recipe '{unknown[0]}'; choose from {', '.join(known)}")
    precisions = sorted({precision_of(variant) for variant in options.variants})
    # The best of several processes: other work on the machine slows a product of matrices down.
    peaks = {name: max(measured(options, "peak", name)["flops"] for _ in range(5)) for name in precisions}
    lines = [
        "| recipe | step | images per second | relative | share of peak | wall-clock seconds a step |"
        + " of it waiting for data |" * on_gpu
        + " seconds to compile |" * with_compiler,
        "|---|---|---|---|---|---|" + "---|" * (on_gpu + with_compiler),
    ]
    for recipe in options.recipes:
        lines += rows(options, recipe, peaks, with_compiler)
        print(*lines[-len(options.variants) :], sep="\n", flush=True)
    peaks_text = ", ".join(f"{precision} {flops / 1e9:.0f}" for precision, flops in peaks.items())
    computer = processor() if options.device == "cpu" else device_name(torch.device("cuda"))
    lines += [
        "",
        f"{computer}, threads: {options.threads}, torch {torch.__version__}. Medians of {options.rounds} processes "
        f"of {options.steps} steps each. Measured peak in GFLOP/s: {peaks_text}.",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        write(table, mark)


def rows(options: Options, recipe: str, peaks: dict[str, float], with_compiler: bool) -> list[str]:
    """Measure the variants of a recipe in turn: a row of the table for each."""
    found: dict[str, list[Measured]] = {variant: [] for variant in options.variants}
    for _ in range(options.rounds):
        for variant in options.variants:
            found[variant].append(measured(options, recipe, variant))
    first = statistics.median(one["seconds"] for one in found[options.variants[0]])
    lines = []
    for variant, runs in found.items():
        seconds, wall, waiting, compiling = (
            statistics.median(run[key] for run in runs) for key in ("seconds", "wall", "waiting", "compiling")
        )
        cells = [
            f"`{recipe}`", variant, f"{runs[0]['images'] / seconds:.2f}", f"{first / seconds:.2f}",
            f"{runs[0]['flops'] / seconds / peaks[precision_of(variant)]:.0%}", f"{wall:.2f}",
        ]  # fmt: skip
        cells += [f"{waiting / wall:.0%}"] * (options.device == "cuda")
        cells += ["" if compile_of(variant) == "off" else f"{compiling:.0f}"] * with_compiler
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def processor() -> str:
    """The processor's name as the system gives it, with the instructions that matter here."""
    capabilities = torch.cpu.get_capabilities()
    names = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX", "avx512_f": "AVX-512", "avx2": "AVX2"}
    found = [label for key, label in names.items() if capabilities.get(key)]
    file = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", file.read_text(encoding="utf-8") if file.exists() else "")
    name = model[1] if model else platform.processor()
    used = found[0] if found else capabilities["architecture"]
    if LIMIT:
        used = f"limited to {LIMIT} by ATEN_CPU_CAPABILITY"
    return f"{name} ({used})"


def write(table: str, mark: str) -> None:
    """Replace the table behind a mark in benchmarks/README.md."""
    before, rest = README.read_text(encoding="utf-8").split(mark, 1)
    README.write_text(f"{before}{mark}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def measured(options: Options, recipe: str, variant: str) -> Measured:
    """Run `measure` in a new process."""
    arguments = [recipe, variant, options.scale, options.steps, options.threads, options.device, options.workers]
    program = [sys.executable, __file__, "measure", *map(str, arguments)]
    caches = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | caches)
    if done.returncode:
        raise UserError(f"{recipe}, {variant}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    recipe: str, variant: str, scale: Scale, steps: int, threads: int, device: str, workers: int
) -> Measured:
    """Seconds of processor time and of wall-clock time of a step, its images and floating-point operations."""
    torch.set_num_threads(threads)
    if recipe == "peak":
        return peak(variant, device)
    batches, compute, images = one_step(recipe, variant, scale, device, workers)
    waited = 0.0

    def step() -> None:
        nonlocal waited
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        compute(batch)

    with FlopCounterMode(display=False) as counter, torch.compiler.set_stance("force_eager"):
        step()
    clock = processor_time if device == "cpu" else time.perf_counter
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    first = clock()
    for _ in range(WARM_UP[compile_of(variant)]):
        step()
    wait()
    begun, wall, waited = clock(), time.perf_counter(), 0.0
    first = begun - first
    for _ in range(steps):
        step()
    wait()
    seconds, wall = clock() - begun, time.perf_counter() - wall
    return {
        "seconds": seconds / steps, "wall": wall / steps, "images": images, "flops": counter.get_total_flops(),
        "waiting": waited / steps, "compiling": first - WARM_UP[compile_of(variant)] * seconds / steps,
    }  # fmt: skip


def processor_time() -> float:
    """Seconds of this process and of the compilers that it started."""
    return time.process_time() + sum(os.times()[2:4])


def peak(precision: str, device: str, side: int = 2048, times: int = 6) -> Measured:
    """The floating-point operations per second of a product of square matrices."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    a, b = (torch.rand(side, side, device=device, dtype=kind) for _ in range(2))
    clock, best = time.process_time if device == "cpu" else time.perf_counter, float("inf")
    for _ in range(times):
        begun = clock()
        (a @ b)[0, 0].item()
        best = min(best, clock() - begun)
    return {"flops": 2 * side**3 / best}


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        name, variant, scale, steps, threads, device, workers = sys.argv[2:]
        print(json.dumps(measure(name, variant, scale, int(steps), int(threads), device, int(workers))))
    else:
        try:
            main(parse(Options, sys.argv[1:], "python benchmarks/training_speed.py"))
        except UserError as error:
            sys.exit(f"training_speed.py: {error}")
