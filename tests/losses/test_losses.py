from pathlib import Path

import pytest
import torch
from support import ODD
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torchvision.models import vgg19

from gan_restore.files import UserError
from gan_restore.losses.adversarial import discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import pixel_loss

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


@pytest.mark.parametrize(("kind", "smooth"), [("bce", True), ("least-squares", True), ("hinge", False)])
def test_a_smooth_label_asks_for_less_certainty(kind: str, smooth: bool) -> None:
    sure, fake = torch.full((1, 1, 2, 2), 9.0), torch.zeros(1, 1, 2, 2)
    losses = [discriminator_loss(sure, fake, kind, label).item() for label in (1.0, 0.9)]
    assert (losses[1] > losses[0]) == smooth


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


@pytest.fixture(scope="module")
def perceptual(vgg_file: Path) -> PerceptualLoss:
    return PerceptualLoss(vgg_file)


@pytest.mark.parametrize("size", ODD)
def test_the_perceptual_loss_teaches_the_image_and_nothing_else(
    perceptual: PerceptualLoss, size: tuple[int, int]
) -> None:
    clean, restored = torch.rand(2, 3, *size), torch.rand(2, 3, *size, requires_grad=True)
    assert perceptual(clean, clean).item() == 0
    loss = perceptual(restored, clean)
    loss.backward()
    assert loss.item() > 0 and restored.grad.isfinite().all() and restored.grad.abs().amax((1, 2, 3)).min() > 0
    assert not any(weight.requires_grad for weight in perceptual.parameters()) and not perceptual.training


def test_the_perceptual_loss_by_hand(perceptual: PerceptualLoss, vgg_file: Path) -> None:
    network = vgg19()
    network.load_state_dict(torch.load(vgg_file), strict=False)
    convolutions = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    own = [layer for layer in perceptual.features if isinstance(layer, nn.Conv2d)]
    assert len(own) == len(convolutions) == 16, "the fourth convolution of the fifth block is VGG19's last"
    assert isinstance(perceptual.features[-1], nn.ReLU)
    images = torch.rand(2, 1, 3, 32, 48)
    mean, std = (torch.tensor(x)[:, None, None] for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        seen = [network.features[:-1]((image - mean) / std) for image in images]
    expected = ((seen[0] - seen[1]) / 12.75).square().mean().item()
    assert expected > 0 and perceptual(*images).item() == pytest.approx(expected, rel=0.03)  # 0.006, not 0.00615


def test_the_perceptual_loss_is_never_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    with pytest.raises(UserError, match=r"cannot download .*put it at .*checkpoints.vgg19-dcbb9e9d.pth"):
        PerceptualLoss()
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other.pth does not hold the weights of VGG19"):
        PerceptualLoss(tmp_path / "other.pth")
