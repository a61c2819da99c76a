import pytest
import torch
import torch.nn.functional as F
from support import tiny
from torch import Tensor, nn

from gan_restore.files import UserError
from gan_restore.metrics.fidelity import luma
from gan_restore.training import Validation
from gan_restore.training import validation as validation_module


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


class SecondOfThree:
    """A Fabric whose other processes have no images."""

    global_rank, world_size = 1, 3

    def all_reduce(self, sums: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        self.reduced = sums
        return sums


def test_a_process_validates_its_share_and_joins_the_others_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, fabric = tiny(), SecondOfThree()
    validation = Validation(recipe.images("val"), recipe)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    monkeypatch.setattr(validation_module.dist, "broadcast", lambda buffer, source: buffer.fill_(2 + source))
    validation.scores(network, fabric)
    assert network[1].running_var.eq(2).all(), "the statistics of the first process"
    network.eval()
    with torch.no_grad():
        one = validation.pairs[1]
        expected = -10 * (network(one.degraded) - one.clean).double().square().mean().log10().item()
    assert fabric.reduced[0].item() == pytest.approx(expected, abs=1e-4)

    def fails(*_: object) -> None:
        raise UserError("too small")

    monkeypatch.setattr(validation_module, "measure", fails)
    with pytest.raises(UserError, match="too small"):
        validation.scores(network, fabric)
    assert fabric.reduced.isnan().all()
