import pytest
import torch
from torch import nn

from gan_restore.networks.blocks import initialise_normal, normalisation, tanh_range, upsampling
from gan_restore.networks.discriminators import Classifier
from gan_restore.networks.pix2pix_unet import Pix2PixUNet


def test_upsampling_doubles() -> None:
    for kind in ("transposed", "resize", "shuffle"):
        for kernel in (3, 4):
            assert upsampling(kind, 4, 6, kernel)(torch.rand(2, 4, 5, 7)).shape == (2, 6, 10, 14)


def test_only_the_transposed_convolution_overlaps_unevenly() -> None:
    """With equal weights, a flat input shows how often each output pixel is written."""
    flat = torch.ones(1, 1, 8, 8)
    spread = {}
    for kind in ("transposed", "resize"):
        layer = upsampling(kind, 1, 1, bias=False)
        for weight in layer.parameters():
            nn.init.constant_(weight, 1.0)
        with torch.no_grad():
            spread[kind] = layer(flat)[..., 4:-4, 4:-4].std().item()
    assert spread["transposed"] > 0.5 and spread["resize"] == 0


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="kind must be 'batch', 'instance' or 'none', not 'bacth'"):
        normalisation("bacth", 4)
    with pytest.raises(ValueError, match="kind must be 'transposed', 'resize' or 'shuffle', not 'bilinear'"):
        upsampling("bilinear", 4, 4)


def test_the_tanh_range_is_that_of_tanh() -> None:
    raw = torch.tensor([-9.0, 0.0, 0.5, 9.0])
    torch.testing.assert_close(tanh_range(raw), (torch.tanh(raw) + 1) / 2)


@pytest.mark.parametrize(
    "network",
    [
        Pix2PixUNet(16, levels=4),
        Pix2PixUNet(16, levels=4, norm="none"),
        Classifier([(32, 1), (64, 2)], dense=[128]),
    ],
    ids=["U-Net", "U-Net without norm", "classifier"],
)
def test_the_normal_initialisation_reaches_every_layer(network: nn.Module) -> None:
    for parameter in network.parameters():
        nn.init.constant_(parameter, 7.0)
    torch.manual_seed(0)
    initialise_normal(network)
    scales = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    weights: dict[float, list[torch.Tensor]] = {0.0: [], 1.0: []}
    for name, value in network.named_parameters():
        layer, kind = name.rsplit(".", 1)
        if kind == "bias":
            assert not value.any(), name
        else:
            mean = 1.0 if layer in scales else 0.0
            weights[mean].append(value.flatten() - mean)
    for deviations in weights.values():
        if deviations:
            values = torch.cat(deviations)
            assert values.std().item() == pytest.approx(0.02, rel=0.15) and values.mean().abs() < 0.005


def test_the_normal_initialisation_keeps_the_initial_estimate(photo: torch.Tensor) -> None:
    network = Pix2PixUNet(4, levels=2, norm="none", residual=True).eval()
    initialise_normal(network)
    with torch.no_grad():
        assert torch.equal(network(photo), photo)
