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
- without-...: as bf16-mixed, but without one part of what makes it fast: see `without`;
- 32-true-compiled and bf16-mixed-compiled: with the networks compiled by `torch.compile`; bf16-mixed-cuda-graphs:
  and recorded on a GPU. Compiling is what the first step takes longer than the others, with an empty cache and on
  one core.

Every measurement runs in a process of its own, because the state of the heap changes the speed, and the variants
take turns. The medians count. Rates are per second of processor time, so that other work on the machine has little
effect; the wall-clock time is printed beside it. The share of the peak is the step's floating-point operations per
second (of convolutions and matrix products, `torch.utils.flop_counter`) over those of a large matrix product in the
same precision.
"""

import atexit
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg19

from gan_restore import recipes
from gan_restore.cli.arguments import parse
from gan_restore.data.datasets import Images
from gan_restore.files import UserError
from gan_restore.inference.compiling import Compile
from gan_restore.inference.devices import Compute
from gan_restore.inference.environment import device_name
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import pixel_loss
from gan_restore.networks import layers
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES
from gan_restore.training import Trainer
from gan_restore.training import steps as training_steps
from gan_restore.training.examples import degraded_and_clean
from gan_restore.training.memory import freed_memory_kept

README = Path(__file__).parent / "README.md"
LIMIT = os.environ.get("ATEN_CPU_CAPABILITY", "")
"""The instructions that PyTorch is limited to, such as avx2."""
START, END = "<!-- training speed: {} -->", "<!-- end -->"

Variant = Literal[
    "plain", "32-true", "bf16-mixed", "32-true-compiled", "bf16-mixed-compiled", "bf16-mixed-cuda-graphs",
    "without-layers", "without-channels-last", "without-kept-memory", "without-freezing", "without-fused-adam",
]  # fmt: skip
PARTS: tuple[Variant, ...] = ("bf16-mixed", *(name for name in get_args(Variant) if name.startswith("without")))
Measured = dict[str, Any]

STAGES: dict[str, dict[str, Any]] = {
    "srgan:1": {"perceptual_weight": 0.0},
    "srgan:2": {"pretrain_epochs": 0},
    "srgan:2-without-vgg19": {"pretrain_epochs": 0, "perceptual_weight": 0.0},
}
"""The first stage of `srgan`, and the second one with and without the perceptual loss."""

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
    parts: bool = False
    """Measure the step in bf16-mixed without each of its parts, instead of `variants`."""
    write: bool = False
    """Write the table of this scale into benchmarks/README.md."""


def main(options: Options) -> None:
    """Measure all variants of all recipes and print the table."""
    if options.parts:
        options = replace(options, variants=PARTS)
    compiled = any(_compile(variant) != "off" for variant in options.variants)
    names = [options.scale, *["compiled"] * compiled, *["parts"] * options.parts, *[LIMIT] * bool(LIMIT)]
    mark = START.format(", ".join(names))
    if options.write and mark not in README.read_text(encoding="utf-8"):
        raise UserError(f"{README} has no line {mark}; add it where the table belongs")
    known = [*(name for name in RECIPES if name != "srgan"), *STAGES]
    if unknown := [name for name in options.recipes if name not in known]:
        raise UserError(f"no recipe '{unknown[0]}'; choose from {', '.join(known)}")
    precisions = sorted({_precision(variant) for variant in options.variants})
    # The best of several processes: other work on the machine slows a product of matrices down.
    peaks = {name: max(measured(options, "peak", name)["flops"] for _ in range(5)) for name in precisions}
    lines = [
        "| recipe | step | images per second | relative | share of peak | wall-clock seconds a step |"
        + " seconds to compile |" * compiled,
        "|---|---|---|---|---|---|" + "---|" * compiled,
    ]
    for recipe in options.recipes:
        found: dict[str, list[Measured]] = {variant: [] for variant in options.variants}
        for _ in range(options.rounds):
            for variant in options.variants:
                found[variant].append(measured(options, recipe, variant))
        first = statistics.median(one["seconds"] for one in found[options.variants[0]])
        for variant, runs in found.items():
            seconds, wall, compiling = (
                statistics.median(run[key] for run in runs) for key in ("seconds", "wall", "compiling")
            )
            peak = peaks[_precision(variant)]
            lines.append(
                f"| `{recipe}` | {variant} | {runs[0]['images'] / seconds:.2f} | {first / seconds:.2f} | "
                f"{runs[0]['flops'] / seconds / peak:.0%} | {wall:.2f} |"
                f"{'' if not compiled else ' |' if _compile(variant) == 'off' else f' {compiling:.0f} |'}"
            )
            print(lines[-1], flush=True)
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


def _precision(variant: str) -> Literal["32-true", "bf16-mixed"]:
    return "bf16-mixed" if variant.startswith(("bf16-mixed", "without")) else "32-true"


def _compile(variant: str) -> Compile:
    ends: dict[str, Compile] = {"compiled": "on", "cuda-graphs": "cuda-graphs"}
    return next((way for end, way in ends.items() if variant.endswith(end)), "off")


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
    arguments = [recipe, variant, options.scale, options.steps, options.threads, options.device]
    program = [sys.executable, __file__, "measure", *map(str, arguments)]
    caches = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | caches)
    if done.returncode:
        raise UserError(f"{recipe}, {variant}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(recipe: str, variant: str, scale: Scale, steps: int, threads: int, device: str) -> Measured:
    """Seconds of processor time and of wall-clock time of a step, its images and floating-point operations."""
    torch.set_num_threads(threads)
    if recipe == "peak":
        return peak(variant, device)
    step, images = one_step(recipe, variant, scale, device)
    with FlopCounterMode(display=False) as counter, torch.compiler.set_stance("force_eager"):
        step()
    clock = processor_time if device == "cpu" else time.perf_counter
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    first = clock()
    for _ in range(WARM_UP[_compile(variant)]):
        step()
    wait()
    begun, wall = clock(), time.perf_counter()
    first = begun - first
    for _ in range(steps):
        step()
    wait()
    seconds, wall = clock() - begun, time.perf_counter() - wall
    return {
        "seconds": seconds / steps, "wall": wall / steps, "images": images, "flops": counter.get_total_flops(),
        "compiling": first - WARM_UP[_compile(variant)] * seconds / steps,
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


def one_step(name: str, variant: str, scale: Scale, device: str) -> tuple[Callable[[], object], int]:
    """A function that computes the next step of a recipe, and the number of images in it."""
    fields = {"vgg_weights": str(random_vgg19())} if name == "srgan:2" and scale == "full" else {}
    recipe = recipes.get(name.partition(":")[0], scale, **STAGES.get(name, {}), **fields)
    side = 48 if name == "unet-denoiser" and scale != "smoke" else max(recipe.square_of("train"), 320)
    pixels = np.random.default_rng(0).integers(0, 256, (recipe.batch_size, side, side, 3), dtype=np.uint8)
    images = Images(list(pixels), [str(i) for i in range(len(pixels))], "random")
    compute = Compute(device=device, precision=_precision(variant))
    run, way = Path(tempfile.gettempdir()), _compile(variant)
    without(variant.removeprefix("without-"))
    trainer = Trainer(recipe, run, compute.fabric(), images, images, compile=way)
    if variant == "without-channels-last":
        for network in filter(None, (trainer.parts.generator, trainer.parts.discriminator)):
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    batches = trainer.batches.loader(0, 1000)
    if variant == "plain":
        return plain_step(trainer, batches.__next__), recipe.batch_size
    if variant != "without-kept-memory":
        freed_memory_kept().__enter__()  # until the process ends

    def step() -> None:
        trainer.log.add(trainer.training_step(next(batches)))
        trainer.step += 1

    return step, recipe.batch_size


def random_vgg19() -> Path:
    """A file of random weights for VGG19: its own are a download, and the speed is the same."""
    with torch.device("meta"):
        shapes = {name: weights.shape for name, weights in vgg19().features.state_dict().items()}
    path = Path(tempfile.gettempdir()) / f"random-vgg19-{os.getpid()}.pth"
    torch.save({f"features.{name}": 0.02 * torch.randn(shape) for name, shape in shapes.items()}, path)
    atexit.register(path.unlink)
    return path


def without(part: str) -> None:
    """Switch off a part of what makes the library's step fast, until the process ends; others stay as they are.

    - layers: dropout, PReLU, padding and concatenation are PyTorch's own.
    - channels-last: tensors have PyTorch's default layout.
    - freezing: the generator's step computes gradients of the discriminator's weights, too.
    - fused-adam: Adam as PyTorch chooses it.
    - kept-memory: freed memory goes back to the system; not switched here but in `one_step`.
    """
    if part == "layers":
        layers.pays = lambda features: False
    elif part == "channels-last":
        contiguous = torch.Tensor.contiguous
        # The networks ask for channels_last.
        torch.Tensor.contiguous = lambda tensor, **_: contiguous(tensor)  # type: ignore[method-assign]
    elif part == "freezing":
        training_steps._frozen = lambda network: nullcontext()
    elif part == "fused-adam":
        adam = torch.optim.Adam
        torch.optim.Adam = lambda *args, **options: adam(*args, **options | {"fused": None})  # type: ignore


def plain_step(trainer: Trainer, next_batch: Callable[[], torch.Tensor]) -> Callable[[], object]:
    """A step as tutorials write it, of the trainer's recipe with its damage and losses."""
    without("layers")
    without("channels-last")
    recipe, device = trainer.recipe, trainer.fabric.device
    torch.manual_seed(recipe.seed)
    generator = recipe.generator().to(device)
    betas = (recipe.beta1, 0.999)
    g_optimizer = torch.optim.Adam(generator.parameters(), recipe.learning_rate, betas)
    adversarial = recipe.adversarial_weight > 0 and not trainer.first_stage
    discriminator = recipe.discriminator().to(device) if adversarial else None
    d_optimizer = (
        torch.optim.Adam(discriminator.parameters(), recipe.learning_rate, betas) if discriminator else None
    )
    bce = F.binary_cross_entropy_with_logits
    perceptual = (
        PerceptualLoss(recipe.vgg_weights).to(device) if trainer.parts.perceptual and discriminator else None
    )

    def step() -> tuple[float, ...]:
        degraded, clean = degraded_and_clean(next_batch(), recipe, trainer.step, 0, device)
        trainer.step += 1
        restored, losses = generator(degraded), []
        if discriminator and d_optimizer:
            d_optimizer.zero_grad()
            real, fake = discriminator(degraded, clean), discriminator(degraded, restored.detach())
            d_loss = (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2
            d_loss.backward()
            d_optimizer.step()
            losses.append(d_loss)
        g_optimizer.zero_grad()
        g_loss = recipe.pixel_weight * pixel_loss(restored, clean, recipe.pixel_loss)
        if discriminator:
            fake = discriminator(degraded, restored)
            g_loss = g_loss + recipe.adversarial_weight * bce(fake, torch.ones_like(fake))
        if perceptual:
            g_loss = g_loss + recipe.perceptual_weight * perceptual(restored, clean)
        g_loss.backward()
        g_optimizer.step()
        return tuple(loss.item() for loss in (*losses, g_loss))

    return step


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        name, variant, scale, steps, threads, device = sys.argv[2:]
        print(json.dumps(measure(name, variant, scale, int(steps), int(threads), device)))
    else:
        try:
            main(parse(Options, sys.argv[1:], "python benchmarks/training_speed.py"))
        except UserError as error:
            sys.exit(f"training_speed.py: {error}")
