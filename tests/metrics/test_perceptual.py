"""The networks here are small or have random weights: what is tested is the computation, not the values."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torchvision.models import alexnet

from gan_restore.files import UserError
from gan_restore.metrics.perceptual import fid, lpips


class Colours(nn.Module):
    """Six features of an image: mean and standard deviation of each channel."""

    num_features = 6

    def forward(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        flat = images.float().flatten(2)
        return torch.cat([flat.mean(2), flat.std(2)], 1)


def pictures(seed: int, *sizes: tuple[int, int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(n, 3, h, w, generator=generator) ** (1 + seed) for n, h, w in sizes]


def test_the_frechet_distance_is_the_papers() -> None:
    sizes = (8, 37, 31), (5, 16, 20)
    restored, clean = pictures(1, *sizes), pictures(0, *sizes)
    verdict = fid(restored, clean, features=Colours())
    seen = [
        np.concatenate([Colours()((batch * 255).round().byte()).double().numpy() for batch in batches])
        for batches in (restored, clean)
    ]
    means, covariances = ([f(x) for x in seen] for f in (lambda x: x.mean(0), lambda x: np.cov(x.T)))
    expected = ((means[0] - means[1]) ** 2).sum()
    expected += np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert verdict.value == pytest.approx(expected, rel=1e-3) and verdict.n_images == 13
    assert "FID" not in str(verdict) and not verdict.warning
    assert abs(fid(clean, clean, features=Colours()).value) < 1e-2 < verdict.value


def test_too_few_images_are_refused_unless_forced_and_then_labelled() -> None:
    batches = pictures(0, (5, 16, 16))
    with pytest.raises(UserError, match="FID of 5 images is far too high; use at least 6"):
        fid(batches, batches, features=Colours())
    with pytest.raises(UserError, match="at least 2048"):
        fid(batches, batches)
    assert "5 images, forced: far too large below 6" in str(fid(batches, batches, features=Colours(), force=True))


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    batches = pictures(0, (2, 40, 40))
    with pytest.raises(UserError, match=r"cannot download .*put it at .*checkpoints.alexnet-owt-7be5be79.pth"):
        lpips(batches, batches)
    pytest.importorskip("torch_fidelity")
    with pytest.raises(UserError, match=r"put it at .*checkpoints.weights-inception-2015-12-05-6726825d.pth"):
        fid(batches, batches, force=True)
    with pytest.raises(UserError, match=r"no such file: absent\.pth"):
        fid(batches, batches, "absent.pth", force=True)


def no_network(*args: object, **options: object) -> None:
    raise OSError("no network")


def test_lpips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in alexnet().state_dict().items()}
    # Random where LPIPS looks; one number spread over the dense layers keeps the file small.
    state = {
        name: torch.zeros(1).expand(shape) if "classifier" in name else 0.1 * torch.randn(shape)
        for name, shape in shapes.items()
    }
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    sizes = (2, 37, 31), (1, 64, 48)
    clean = pictures(0, *sizes)
    slight, strong = ([batch + s * torch.randn_like(batch) for batch in clean] for s in (0.05, 0.4))
    same, little, much = (lpips(batches, clean) for batches in (clean, slight, strong))
    assert same.value == 0 < little.value < much.value and much.n_images == 3
    assert str(little).startswith("LPIPS (AlexNet) 0.") and str(little).endswith("(3 images)")
    with pytest.raises(ValueError, match="at least 31 x 31"):
        lpips(pictures(0, (1, 30, 40)), pictures(0, (1, 30, 40)))
    with pytest.raises(ValueError, match="same sizes"):
        lpips(clean, clean[:1])
