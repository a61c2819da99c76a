import pytest
import torch
import torch.nn.functional as F
from support import tiny
from torch import Tensor, nn

from gan_restore.metrics.fidelity import luma
from gan_restore.training import Validation


class Enlarge(nn.Module):
    """Enlarge by 2 and shift the colours, which luma and RGB judge differently; keeps its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.1, 0.0, -0.1])[:, None, None])
        self.seen: list[Tensor] = []

    def forward(self, degraded: Tensor) -> Tensor:
        self.seen += degraded.split(1)
        return (F.interpolate(degraded, scale_factor=2.0) + self.shift).clamp(0, 1)


def test_super_resolution_is_validated_on_luma_without_the_border() -> None:
    recipe = tiny("srgan")
    images, generator = recipe.images("val"), Enlarge()
    scores = Validation(images, recipe).scores(generator)

    def mean_psnr(prepare) -> float:
        psnrs = []
        for i, degraded in enumerate(generator.seen[: len(images)]):
            restored, clean = generator(degraded).detach(), images.clean(i, crop=256)
            psnrs.append(-10 * (prepare(restored) - prepare(clean)).double().square().mean().log10().item())
        return sum(psnrs) / len(psnrs)

    assert scores["val_psnr"] == pytest.approx(mean_psnr(lambda x: luma(x)[..., 2:-2, 2:-2]), abs=1e-4)
    for other in (lambda x: x[..., 2:-2, 2:-2], luma):
        assert scores["val_psnr"] != pytest.approx(mean_psnr(other), abs=1e-3)


def test_validation_is_in_evaluation_mode_and_changes_nothing() -> None:
    recipe = tiny()
    validation = Validation(recipe.images("val"), recipe)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores = validation.scores(network)
    assert network.training and all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert scores == validation.scores(network.eval()), "the same damage, and no dropout"
    assert not network.training


def test_a_sample_of_the_images_is_validated_on() -> None:
    recipe = tiny(val_images=1, seed=3)
    validation, whole = Validation(recipe.images("val"), recipe), Validation(recipe.images("val"), tiny(seed=3))
    assert validation.images == {"split": "val", "n_images": 1, "seed": 3} and whole.images["n_images"] == 2
    assert len(validation.pairs) == 1
    assert validation.pairs[0].name == recipe.images("val").sample(1, 3).names[0]
