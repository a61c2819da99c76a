"""One training step: a step of the discriminator, then a step of the generator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_restore.losses.adversarial import discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import FeatureLoss
from gan_restore.losses.pixel import pixel_loss
from gan_restore.recipes.base import Recipe
from gan_restore.training.parts import Parts


def discriminator_step(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> dict[str, Tensor]:
    """Update the discriminator once, to separate clean images from restored ones.

    `restored` is detached, so the generator gets no gradients.

    Args:
        discriminator: (degraded, image) -> logits.
        optimizer: the discriminator's; None updates nothing, and adds the gradients to those that are there.
        degraded: N x 3 x h x w in [0, 1]; smaller than `clean` in super-resolution.
        clean: N x 3 x H x W in [0, 1].
        restored: N x 3 x H x W in [0, 1], the generator's output for `degraded`.
        recipe: chooses the adversarial loss and the label of clean images.
        backward: computes the gradients of a loss; Fabric's `backward` for mixed precision or several devices.

    Returns:
        Scalars without gradients: d_loss, and the mean probability of being clean that the discriminator gives to
        the clean images (d_real) and to the restored ones (d_fake).
    """
    real = discriminator(degraded, clean)
    fake = discriminator(degraded, restored.detach())
    loss = discriminator_loss(real, fake, recipe.adversarial, recipe.real_label)
    _update(optimizer, loss, backward)
    logits = {"d_real": real, "d_fake": fake}
    means = {name: probability(values.detach(), recipe.adversarial).mean() for name, values in logits.items()}
    return {"d_loss": loss.detach(), **means}


def generator_step(
    discriminator: nn.Module | None,
    optimizer: torch.optim.Optimizer | None,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    backward: Callable[[Tensor], None] = Tensor.backward,
    perceptual: FeatureLoss | None = None,
) -> dict[str, Tensor]:
    """Update the generator once, by the weighted sum of its loss terms.

    Args:
        discriminator: (degraded, image) -> logits, not updated; None leaves out the adversarial term.
        optimizer: the generator's; None as in `discriminator_step`.
        degraded: N x 3 x h x w in [0, 1].
        clean: N x 3 x H x W in [0, 1].
        restored: N x 3 x H x W in [0, 1], the generator's output for `degraded`, with its gradient graph.
        recipe: chooses the losses and their weights.
        backward: as in `discriminator_step`.
        perceptual: the perceptual loss; None leaves out that term.

    Returns:
        Scalars without gradients: g_loss and its unweighted terms (see `generator_terms`).
    """
    terms = generator_terms(discriminator, degraded, clean, restored, recipe, perceptual)
    loss = torch.zeros((), device=restored.device)
    for name, weight in recipe.weights().items():
        if name in terms:
            loss = loss + weight * terms[name]
    _update(optimizer, loss, backward)
    return {"g_loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}


def generator_terms(
    discriminator: nn.Module | None,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    perceptual: FeatureLoss | None = None,
) -> dict[str, Tensor]:
    """Compute the unweighted terms of the generator's loss; arguments as in `generator_step`.

    Gradients reach `restored` through the discriminator, but not the discriminator's own weights.

    Returns:
        Scalars: "pixel"; "perceptual" if that loss is given; "adversarial" if a discriminator is given.
    """
    terms = {"pixel": pixel_loss(restored, clean, recipe.pixel_loss)}
    if perceptual is not None:
        terms["perceptual"] = perceptual(restored, clean)
    if discriminator is not None:
        with _frozen(discriminator):
            terms["adversarial"] = generator_loss(discriminator(degraded, restored), recipe.adversarial)
    return terms


def step_in_parts(
    parts: Parts,
    adversarial: bool,
    degraded: Tensor,
    clean: Tensor,
    backward: Callable[[Tensor], None],
    perceptual: FeatureLoss | None,
) -> dict[str, Tensor]:
    """Both steps for a batch of which only a part fits into memory at once; see `Recipe.accumulate`.

    The generator computes each part twice: for the discriminator, and again for itself once that is updated.

    Args:
        parts: the networks and optimisers.
        adversarial: whether the discriminator takes part.
        degraded, clean, backward, perceptual: as in the two steps.

    Returns:
        Scalars without gradients, the means over the parts.
    """
    recipe, count = parts.recipe, parts.recipe.accumulate
    examples = list(zip(degraded.chunk(count), clean.chunk(count), strict=True))
    discriminator = parts.discriminator if adversarial else None
    losses: list[dict[str, Tensor]] = []

    def add_share(loss: Tensor) -> None:
        backward(loss / count)

    if discriminator is not None and parts.d_optimizer is not None:
        parts.d_optimizer.zero_grad()
        for some_degraded, some_clean in examples:
            with torch.no_grad():
                restored = parts.generator(some_degraded)
            inputs = (some_degraded, some_clean, restored, recipe, add_share)
            losses.append(discriminator_step(discriminator, None, *inputs))
        parts.d_optimizer.step()
    parts.g_optimizer.zero_grad()
    for some_degraded, some_clean in examples:
        inputs = (some_degraded, some_clean, parts.generator(some_degraded), recipe, add_share)
        losses.append(generator_step(discriminator, None, *inputs, perceptual))
    parts.g_optimizer.step()
    return {
        name: torch.stack([some[name] for some in losses if name in some]).mean()
        for name in dict.fromkeys(name for some in losses for name in some)
    }


def _update(optimizer: torch.optim.Optimizer | None, loss: Tensor, backward: Callable[[Tensor], None]) -> None:
    """Minimise a loss by one step; without an optimiser, only add its gradients to those that are there."""
    if optimizer is None:
        backward(loss)
        return
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Switch off the gradients of a network's weights inside the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
