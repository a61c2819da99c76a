from pathlib import Path

import pytest
import torch
from support import noise_images, tiny
from torch import nn

from gan_restore.degradations.base import seeded
from gan_restore.files import UserError
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import RECIPES
from gan_restore.training import Trainer, train
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


class PlainDiscriminator(nn.Module):
    """Without BatchNorm, so that the parts of a batch do not depend on each other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 1, 3)

    def forward(self, degraded: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.cat([degraded, image], dim=1))


def test_a_batch_in_parts_gives_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recipe, "discriminator", lambda _recipe: PlainDiscriminator())
    found = []
    for accumulate in (1, 4):
        recipe = tiny(accumulate=accumulate, **GAN | {"norm": "none"})
        images = noise_images(*[(32, 32)] * 8)
        trainer = Trainer(recipe, tmp_path, Compute(device="cpu").fabric(), images, images)
        sizes = []
        trainer.parts.generator.register_forward_hook(
            lambda _m, given, _out, sizes=sizes: sizes.append(len(given[0]))
        )
        losses = trainer.training_step(trainer.batches[0])
        assert sizes == ([4] if accumulate == 1 else [1] * 8)
        optimizers = (trainer.parts.g_optimizer, trainer.parts.d_optimizer)
        gradients = [state["exp_avg"] for optimizer in optimizers for state in optimizer.state.values()]
        found.append((losses, gradients))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-7)


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a batch of 4 cannot be divided evenly by 1 devices x accumulate 3"):
        train(tiny(accumulate=3), tmp_path / "run")


def test_gradients_are_clipped_to_a_length(tmp_path: Path) -> None:
    lengths = []
    for clip in (0.0, 1e-4):
        recipe, images = tiny(gradient_clip=clip, **GAN), noise_images(*[(32, 32)] * 8)
        trainer = Trainer(recipe, tmp_path, Compute(device="cpu").fabric(), images, images)
        trainer.training_step(trainer.batches[0])
        for optimizer in (trainer.parts.g_optimizer, trainer.parts.d_optimizer):
            means = torch.cat([state["exp_avg"].flatten() for state in optimizer.state.values()])
            lengths.append(means.norm().item() / (1 - recipe.beta1))
    assert min(lengths[:2]) > 1e-3
    assert lengths[2:] == pytest.approx([1e-4, 1e-4], rel=1e-3)
