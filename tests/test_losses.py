import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gan_restore.losses import discriminator_loss, generator_loss, pixel_loss, probability

KINDS = ["bce", "least-squares", "hinge"]


def test_bce_is_torchs() -> None:
    real, fake = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    expected = (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2
    torch.testing.assert_close(discriminator_loss(real, fake, "bce"), expected)
    torch.testing.assert_close(generator_loss(fake, "bce"), bce(fake, torch.ones_like(fake)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_better_discriminator_and_a_better_generator_lose_less(kind: str) -> None:
    low, high = torch.full((1, 1, 2, 2), -0.9), torch.full((1, 1, 2, 2), 0.9)
    assert discriminator_loss(high, low, kind) < discriminator_loss(low, high, kind)
    assert generator_loss(high, kind) < generator_loss(low, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sure_discriminator_still_teaches(kind: str) -> None:
    fake = torch.full((1, 1, 2, 2), -20.0, requires_grad=True)
    generator_loss(fake, kind).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_beliefs_are_in_range_and_undecided_in_the_middle(kind: str) -> None:
    beliefs = probability(torch.linspace(-5, 5, 101), kind)
    assert beliefs.min() >= 0 and beliefs.max() <= 1 and (beliefs.diff() >= 0).all()
    undecided = torch.tensor(0.5 if kind == "least-squares" else 0.0)
    assert probability(undecided, kind).item() == pytest.approx(0.5)


def test_pixel_losses() -> None:
    a, b = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    assert pixel_loss(a, b, "mse").item() == 0.25 and pixel_loss(a, b, "l1").item() == 0.5
