import pytest
import torch
from support import tiny
from torch import nn

from gan_restore.degradations.base import seeded
from gan_restore.recipes.names import RECIPES
from gan_restore.training.steps import discriminator_step, generator_step, generator_terms

GAN = {"adversarial_weight": 0.1, "residual": False, "mask_input": False, "norm": "batch"}


def batch(recipe, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.rand(4, 3, size, size, generator=seeded(0))
    return recipe.degradation()(clean, seeded(1)), clean


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("scale", ["smoke", "full"])
@pytest.mark.parametrize("adversarial", ["bce", "least-squares", "hinge"])
def test_every_loss_term_reaches_the_generator(name: str, scale: str, adversarial: str) -> None:
    recipe = tiny(name, scale, adversarial=adversarial)
    torch.manual_seed(0)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    degraded, clean = batch(recipe)
    blurred = nn.AvgPool2d(3)  # stands in for VGG19: any fixed map of features
    features = lambda restored, clean: (blurred(restored) - blurred(clean)).square().mean()  # noqa: E731
    terms = generator_terms(discriminator, degraded, clean, generator(degraded), recipe, features)
    assert set(terms) == {"pixel", "perceptual", "adversarial"} >= set(recipe.weights())
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, generator.parameters(), retain_graph=True, allow_unused=True)
        assert sum(g.abs().sum() for g in gradients if g is not None) > 0, name
    assert all(p.requires_grad for p in discriminator.parameters()), "the discriminator can be updated again"


def test_the_loss_is_the_weighted_sum() -> None:
    recipe = tiny("srgan", perceptual_weight=0.5, adversarial_weight=0.1, pixel_weight=3.0)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    degraded, clean = batch(recipe)
    features = lambda restored, clean: (restored - clean).abs().amax()  # noqa: E731
    optimizer = torch.optim.Adam(generator.parameters())
    losses = generator_step(
        discriminator, optimizer, degraded, clean, generator(degraded), recipe, perceptual=features
    )
    total = 3 * losses["pixel"] + 0.5 * losses["perceptual"] + 0.1 * losses["adversarial"]
    assert losses["g_loss"].item() == pytest.approx(total.item())


def test_each_step_updates_one_network_only() -> None:
    recipe = tiny(**GAN)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    g_optimizer = torch.optim.Adam(generator.parameters(), 0.01)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.01)
    degraded, clean = batch(recipe)
    restored = generator(degraded)

    def weights(network: torch.nn.Module) -> torch.Tensor:
        return torch.cat([p.detach().flatten().clone() for p in network.parameters()])

    g_before, d_before = weights(generator), weights(discriminator)
    losses = discriminator_step(discriminator, d_optimizer, degraded, clean, restored, recipe)
    assert torch.equal(weights(generator), g_before) and not torch.equal(weights(discriminator), d_before)
    assert set(losses) == {"d_loss", "d_real", "d_fake"} and 0 < losses["d_real"] < 1
    d_before = weights(discriminator)
    losses = generator_step(discriminator, g_optimizer, degraded, clean, restored, recipe)
    assert torch.equal(weights(discriminator), d_before) and not torch.equal(weights(generator), g_before)
    assert losses["g_loss"].item() == pytest.approx((losses["pixel"] + 0.1 * losses["adversarial"]).item())


def test_a_discriminator_learns_to_separate_clean_from_restored() -> None:
    recipe = tiny(**GAN)
    torch.manual_seed(0)
    discriminator = recipe.discriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), 0.01)
    degraded, clean = batch(recipe)
    for _ in range(30):
        losses = discriminator_step(discriminator, optimizer, degraded, clean, clean.flip(3), recipe)
    assert losses["d_real"] > 0.8 and losses["d_fake"] < 0.2
