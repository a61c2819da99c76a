"""The training steps that training_speed.py measures: the library's, with or without its parts, and a plain one."""

import atexit
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models import vgg19

from gan_restore import recipes
from gan_restore.data.datasets import Images
from gan_restore.inference.compiling import Compile
from gan_restore.inference.devices import Compute
from gan_restore.inference.heap import freed_memory_kept
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import pixel_loss
from gan_restore.networks import layers
from gan_restore.recipes.base import Scale
from gan_restore.training import Trainer
from gan_restore.training import steps as training_steps
from gan_restore.training.examples import degraded_and_clean

Variant = Literal[
    "plain", "32-true", "bf16-mixed", "32-true-compiled", "bf16-mixed-compiled", "bf16-mixed-cuda-graphs",
    "without-layers", "without-channels-last", "without-kept-memory", "without-freezing", "without-fused-adam",
]  # fmt: skip

STAGES: dict[str, dict[str, Any]] = {
    "srgan:1": {"perceptual_weight": 0.0},
    "srgan:2": {"pretrain_epochs": 0},
    "srgan:2-without-vgg19": {"pretrain_epochs": 0, "perceptual_weight": 0.0},
}
"""The first stage of `srgan`, and the second one with and without the perceptual loss."""


UNTIL_THE_END = ExitStack()
"""Contexts that stay open until the process ends; one that nothing refers to would be left at once."""


def precision_of(variant: str) -> Literal["32-true", "bf16-mixed"]:
    """The precision that a variant computes in."""
    return "bf16-mixed" if variant.startswith(("bf16-mixed", "without")) else "32-true"


def compile_of(variant: str) -> Compile:
    """How a variant compiles its networks."""
    ends: dict[str, Compile] = {"compiled": "on", "cuda-graphs": "cuda-graphs"}
    return next((way for end, way in ends.items() if variant.endswith(end)), "off")


def one_step(
    name: str, variant: str, scale: Scale, device: str, workers: int = 0
) -> tuple[Iterator[torch.Tensor], Callable[[torch.Tensor], object], int]:
    """The batches of a recipe, a function that computes a step on one, and the number of images in it."""
    fields = {"vgg_weights": str(random_vgg19())} if name == "srgan:2" and scale == "full" else {}
    recipe = recipes.get(name.partition(":")[0], scale, **STAGES.get(name, {}), **fields)
    side = 48 if name == "unet-denoiser" and scale != "smoke" else max(recipe.square_of("train"), 320)
    pixels = np.random.default_rng(0).integers(0, 256, (recipe.batch_size, side, side, 3), dtype=np.uint8)
    images = Images(list(pixels), [str(i) for i in range(len(pixels))], "random")
    compute = Compute(device=device, precision=precision_of(variant))
    run, way = Path(tempfile.gettempdir()), compile_of(variant)
    without(variant.removeprefix("without-"))
    trainer = Trainer(recipe, run, compute.fabric(), images, images, compile=way)
    if variant == "without-channels-last":
        for network in filter(None, (trainer.parts.generator, trainer.parts.discriminator)):
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    batches = trainer.batches.loader(0, 1000, workers)
    if variant == "plain":
        return batches, plain_step(trainer), recipe.batch_size
    if variant != "without-kept-memory":
        UNTIL_THE_END.enter_context(freed_memory_kept())

    def step(batch: torch.Tensor) -> None:
        trainer.log.add(trainer.training_step(batch))
        trainer.step += 1

    return batches, step, recipe.batch_size


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


def plain_step(trainer: Trainer) -> Callable[[torch.Tensor], object]:
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

    def step(batch: torch.Tensor) -> tuple[float, ...]:
        degraded, clean = degraded_and_clean(batch, recipe, trainer.step, 0, device)
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
