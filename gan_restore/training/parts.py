"""What training changes: the networks of a run, their optimisers, and the moving average of the generator."""

import dataclasses
from pathlib import Path
from typing import Any

import lightning_fabric
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gan_restore.files import UserError
from gan_restore.inference.checkpoints import load_generator
from gan_restore.inference.compiling import Compile, compiled
from gan_restore.losses.perceptual import EfficientNetDistance, FeatureLoss, PerceptualLoss
from gan_restore.recipes.base import Recipe


class Parts:
    """The networks and optimisers of a run, set up for its device.

    Attributes:
        generator, g_optimizer: always there.
        discriminator, d_optimizer: None without an adversarial loss.
        perceptual: the perceptual loss with its frozen network; None without that loss.
        ema: the moving average of the generator's weights, with the latest statistics of BatchNorm; None if the
            recipe keeps none.

    Args:
        recipe: chooses the networks and the optimisers' settings. The initial weights are drawn from its seed.
        fabric: a launched Fabric.
        compile: how the networks are compiled (see `Compute`).

    Raises:
        UserError: if the weights of the perceptual loss cannot be read.
    """

    def __init__(self, recipe: Recipe, fabric: lightning_fabric.Fabric, compile: Compile = "off") -> None:
        self.recipe, self.fabric = recipe, fabric
        torch.manual_seed(recipe.seed)
        generator = with_shared_statistics(recipe.generator(), fabric)
        in_float32 = fabric.device.type == "cpu" and fabric.strategy.precision.precision == "32-true"
        own: torch.memory_format = getattr(generator, "float32_layout", torch.channels_last)
        layout = own if in_float32 else torch.channels_last
        generator = generator.to(memory_format=layout)
        self.generator, self.g_optimizer = fabric.setup(compiled(generator, compile), self._adam(generator))
        self.discriminator: nn.Module | None = None
        self.d_optimizer: torch.optim.Optimizer | None = None
        self.perceptual: FeatureLoss | None = None
        if recipe.adversarial_weight:
            discriminator = with_shared_statistics(recipe.discriminator(), fabric)
            discriminator = discriminator.to(memory_format=layout)
            adam = self._adam(discriminator)
            self.discriminator, self.d_optimizer = fabric.setup(compiled(discriminator, compile), adam)
        if recipe.perceptual_weight:
            if recipe.perceptual_network == "vgg19":
                vgg19 = PerceptualLoss(recipe.vgg_weights).to(fabric.device).to(memory_format=layout)
                self.perceptual = self._in_precision(vgg19)
            else:
                self.perceptual = EfficientNetDistance().to(fabric.device)
        average = get_ema_multi_avg_fn(recipe.ema)
        self.ema = AveragedModel(generator, multi_avg_fn=average) if recipe.ema else None

    def _in_precision(self, loss: nn.Module) -> FeatureLoss:
        """A loss that computes in the precision of the run, as Fabric lets the networks that it has set up."""

        def compute(restored: Tensor, clean: Tensor) -> Tensor:
            with self.fabric.autocast():
                return loss(restored, clean)

        return compute

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        clip, betas = self.recipe.gradient_clip, (self.recipe.beta1, 0.999)
        # With a gradient scaler (16-mixed), fused Adam would see the gradients scaled, and clip those.
        fused = self.fabric.device.type in ("cpu", "cuda") and not (clip and self._scaler)
        adam = torch.optim.Adam(network.parameters(), lr=self.recipe.learning_rate, betas=betas, fused=fused)

        def shorten(*_: Any) -> None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)

        if clip:
            adam.register_step_pre_hook(shorten)
        return adam

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        """The scaler that keeps small gradients from becoming zero in 16-mixed; None in other precisions."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    @property
    def kept(self) -> nn.Module:
        """The generator that is validated and saved: the moving average if there is one."""
        return self.generator.module if self.ema is None else self.ema.module

    def start_from(self, path: str) -> dict[str, Any]:
        """Load the weights of a checkpoint into the generator and its average.

        Args:
            path: a checkpoint, a run folder, or the name of a model.

        Returns:
            The file's name and the step after which it was saved, for the facts of the new checkpoints.

        Raises:
            UserError: if the file cannot be read, or its generator is not that of this recipe.
        """
        theirs, recipe, facts = load_generator(path)
        ours, image = self.recipe.generator().eval(), torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
        try:
            ours.load_state_dict(theirs.state_dict())
            with torch.no_grad():  # options such as `residual` change what the network does with the same weights
                fits = torch.equal(ours(image), theirs(image))
        except RuntimeError:
            fits = False
        if not fits:
            raise UserError(f"start_from: {path} does not fit: {_differences(recipe, self.recipe)}")
        for network in (self.generator.module, *([self.ema.module] if self.ema is not None else [])):
            network.load_state_dict(theirs.state_dict())
        return {"file": Path(path).name, "step": facts.get("step")}

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts by name, as `last.ckpt` holds them; the frozen perceptual network has none."""
        return {name: part.state_dict() for name, part in self._trained().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; other entries are ignored."""
        for name, part in self._trained().items():
            part.load_state_dict(state[name])

    def _trained(self) -> dict[str, Any]:
        names = ("generator", "discriminator", "g_optimizer", "d_optimizer", "ema", "_scaler")
        return {name.strip("_"): part for name in names if (part := getattr(self, name)) is not None}


def with_shared_statistics(network: nn.Module, fabric: lightning_fabric.Fabric) -> nn.Module:
    """Let BatchNorm use the images of all processes, where several run on GPUs; PyTorch has this for CUDA only.

    Elsewhere each process normalises by its own images. The names of the weights stay the same.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return network


def _differences(theirs: Recipe, ours: Recipe) -> str:
    """The fields that can shape a generator, where two recipes differ: those of one system, and three of all."""
    common = {field.name for field in dataclasses.fields(Recipe)} - {"width", "norm", "residual"}
    names = [field.name for field in dataclasses.fields(ours) if field.name not in common]
    changed = [name for name in names if hasattr(theirs, name) and getattr(theirs, name) != getattr(ours, name)]

    def described(recipe: Recipe) -> str:
        return ", ".join([recipe.name, *(f"{name} {getattr(recipe, name)}" for name in changed)])

    return f"it holds a generator of {described(theirs)}; this recipe is {described(ours)}"
