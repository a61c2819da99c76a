"""One training step: a step of the discriminator, then a step of the generator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_restore.losses.adversarial import discriminator_loss, generator_loss, probability
from gan_restore.losses.pixel import pixel_loss
from gan_restore.recipes.base import Recipe


def discriminator_step(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> dict[str, Tensor]:
    """Teach the discriminator once to tell `clean` from `restored`; the generator learns nothing here.

    Returns:
        d_loss, and its mean belief that the clean (d_real) and the restored images (d_fake) are real.
    """
    real = discriminator(degraded, clean)
    fake = discriminator(degraded, restored.detach())
    loss = discriminator_loss(real, fake, recipe.adversarial, recipe.real_label)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    belief = {"d_real": real, "d_fake": fake}
    means = {key: probability(logits.detach(), recipe.adversarial).mean() for key, logits in belief.items()}
    return {"d_loss": loss.detach(), **means}


def generator_step(
    discriminator: nn.Module | None,
    optimizer: torch.optim.Optimizer,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    backward: Callable[[Tensor], None] = Tensor.backward,
    perceptual: nn.Module | None = None,
) -> dict[str, Tensor]:
    """Teach the generator once: `restored`, its own output with gradients, shall be close and look real.

    Returns:
        g_loss and the terms it is the sum of, weighted by `recipe.weights()`.
    """
    terms = generator_terms(discriminator, degraded, clean, restored, recipe, perceptual)
    weights = recipe.weights()
    loss = sum(weights[name] * term for name, term in terms.items() if name in weights)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    return {"g_loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}


def generator_terms(
    discriminator: nn.Module | None,
    degraded: Tensor,
    clean: Tensor,
    restored: Tensor,
    recipe: Recipe,
    perceptual: nn.Module | None = None,
) -> dict[str, Tensor]:
    """The terms of the generator's loss, unweighted; the discriminator is only looked through, not taught.

    Returns:
        pixel; with a perceptual loss, perceptual; with a discriminator, adversarial.
    """
    terms = {"pixel": pixel_loss(restored, clean, recipe.pixel_loss)}
    if perceptual is not None:
        terms["perceptual"] = perceptual(restored, clean)
    if discriminator is not None:
        with _frozen(discriminator):
            terms["adversarial"] = generator_loss(discriminator(degraded, restored), recipe.adversarial)
    return terms


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
