from functools import partial
from pathlib import Path

import pytest
import torch
from support import ODD
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torchvision.models import vgg19

from gan_restore.files import UserError
from gan_restore.losses.adversarial import Adversarial, discriminator_loss, generator_loss, probability
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.losses.pixel import pixel_loss

KINDS: list[Adversarial] = ["bce", "least-squares", "hinge"]


REAL, FAKE = torch.tensor([[2.0], [-0.5]]), torch.tensor([[0.5], [-3.0]])  # logits


@pytest.mark.parametrize("label", [1.0, 0.9])
def test_bce_is_torchs(label: float) -> None:
    expected = (bce(REAL, torch.full_like(REAL, label)) + bce(FAKE, torch.zeros_like(FAKE))) / 2
    torch.testing.assert_close(discriminator_loss(REAL, FAKE, "bce", label), expected)
    torch.testing.assert_close(generator_loss(FAKE, "bce"), bce(FAKE, torch.ones_like(FAKE)))


@pytest.mark.parametrize(
    ("kind", "label", "real", "fake"),
    [
        ("least-squares", 1.0, (1.0**2 + 1.5**2) / 2, (0.5**2 + 3.0**2) / 2),
        ("least-squares", 0.9, (1.1**2 + 1.4**2) / 2, (0.5**2 + 3.0**2) / 2),
        ("hinge", 1.0, (0 + 1.5) / 2, (1.5 + 0) / 2),
        ("hinge", 0.9, (0 + 1.5) / 2, (1.5 + 0) / 2),  # no label to smooth
    ],
)
def test_the_discriminator_loss_by_hand(kind: Adversarial, label: float, real: float, fake: float) -> None:
    assert discriminator_loss(REAL, FAKE, kind, label).item() == pytest.approx((real + fake) / 2)


@pytest.mark.parametrize(("kind", "loss"), [("least-squares", (0.5**2 + 4.0**2) / 2), ("hinge", (-0.5 + 3.0) / 2)])
def test_the_generator_loss_by_hand(kind: Adversarial, loss: float) -> None:
    assert generator_loss(FAKE, kind).item() == pytest.approx(loss)


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_has_a_gradient_where_the_discriminator_is_certain(kind: Adversarial) -> None:
    fake = torch.full((1, 1, 2, 2), -20.0, requires_grad=True)
    generator_loss(fake, kind).backward()
    assert fake.grad is not None and (fake.grad < 0).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bce", torch.tensor([-3.0, 0.0, 0.5, 2.0]).sigmoid().tolist()),
        ("least-squares", [0.0, 0.0, 0.5, 1.0]),
        ("hinge", [0.0, 0.5, 0.75, 1.0]),
    ],
)
def test_the_probability_by_hand(kind: Adversarial, expected: list[float]) -> None:
    assert probability(torch.tensor([-3.0, 0.0, 0.5, 2.0]), kind).tolist() == pytest.approx(expected)


def test_the_pixel_losses_by_hand() -> None:
    restored, clean = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    assert pixel_loss(restored, clean, "mse").item() == 0.25 and pixel_loss(restored, clean, "l1").item() == 0.5


def test_binary_cross_entropy_and_the_squared_error_are_the_defaults() -> None:
    assert discriminator_loss(REAL, FAKE) == discriminator_loss(REAL, FAKE, "bce", real_label=1.0)
    assert generator_loss(FAKE) == generator_loss(FAKE, "bce")
    assert torch.equal(probability(FAKE), probability(FAKE, "bce"))
    assert pixel_loss(REAL, FAKE) == pixel_loss(REAL, FAKE, "mse")


def test_unknown_losses_are_refused() -> None:
    for loss in (partial(discriminator_loss, REAL), generator_loss, probability):
        with pytest.raises(ValueError, match="kind must be 'bce', 'least-squares' or 'hinge', not 'BCE'"):
            loss(FAKE, "BCE")
    with pytest.raises(ValueError, match="kind must be 'mse' or 'l1', not 'l2'"):
        pixel_loss(REAL, FAKE, "l2")


@pytest.fixture(scope="module")
def perceptual(vgg_file: Path) -> PerceptualLoss:
    return PerceptualLoss(vgg_file)


@pytest.mark.parametrize("size", ODD)
def test_the_perceptual_loss_reaches_the_restored_image_only(
    perceptual: PerceptualLoss, size: tuple[int, int]
) -> None:
    clean, restored = (torch.rand(2, 3, *size, requires_grad=True) for _ in range(2))
    assert perceptual(clean, clean).item() == 0
    loss = perceptual(restored, clean)
    loss.backward()
    assert loss.item() > 0 and restored.grad is not None and restored.grad.isfinite().all()
    assert restored.grad.abs().amax((1, 2, 3)).min() > 0, "every image has a gradient"
    assert clean.grad is None, "and the clean images have none"
    assert not any(weight.requires_grad for weight in perceptual.parameters()) and not perceptual.training
    assert not any("mean" in name or "std" in name for name in perceptual.state_dict())


def test_the_perceptual_loss_by_hand(perceptual: PerceptualLoss, vgg_file: Path) -> None:
    with torch.device("meta"):
        network = vgg19().features
    state = {name.removeprefix("features."): tensor for name, tensor in torch.load(vgg_file).items()}
    network.load_state_dict(state, assign=True)
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    own = [layer for layer in perceptual.features if isinstance(layer, nn.Conv2d)]
    assert len(own) == len(convolutions) == 16, "the fourth convolution of the fifth block is VGG19's last"
    assert isinstance(perceptual.features[-1], nn.ReLU)
    images = torch.rand(2, 1, 3, 32, 48)
    mean, std = (torch.tensor(x)[:, None, None] for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        features = [network[:-1]((image - mean) / std) for image in images]
    difference = (features[0] - features[1]).square().mean().item()
    assert difference > 0 and perceptual(*images).item() == pytest.approx(0.006 * difference, rel=1e-4)
    assert round(1 / 12.75**2, 3) == PerceptualLoss.SCALE


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
