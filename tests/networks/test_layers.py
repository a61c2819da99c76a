import pytest
import torch
from torch import Tensor, nn

from gan_restore.networks.layers import Dropout, PaddedConv2d, PReLU, concatenate
from gan_restore.networks.pix2pix_unet import Pix2PixUNet

DTYPES = [torch.float32, torch.bfloat16]


def features(dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    values = torch.randn(2, 8, 17, 13, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return values.contiguous(memory_format=torch.channels_last)


def gradients(layer: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Output, gradient of the input, gradients of the weights."""
    inputs = inputs.clone().requires_grad_()
    output = layer(inputs)
    weights = list(layer.parameters())
    drawn = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad(output, [inputs, *weights], drawn.to(torch.bfloat16).to(output.dtype))
    return output, found[0], list(found[1:])


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_drops_the_share_that_it_should_and_scales_the_rest(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ones = torch.ones(8, 16, 63, 65, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    dropped = Dropout(p)(ones)
    assert dropped.unique().tolist() == [0, torch.tensor(1 / (1 - p)).to(dtype)]
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert dropped.stride() == ones.stride() and dropped.dtype == dtype
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())


def test_dropout_is_drawn_from_the_global_generator_and_only_in_training() -> None:
    inputs, layer = features(), Dropout(0.3)
    torch.manual_seed(3)
    first, other = layer(inputs), layer(inputs)
    torch.manual_seed(3)
    assert torch.equal(layer(inputs), first) and not torch.equal(other, first)
    assert torch.equal(layer.eval()(inputs), inputs) and torch.equal(Dropout(0.0)(inputs), inputs)
    assert not Dropout(1.0)(inputs).any()


def test_neighbouring_values_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(4096, 64, dtype=torch.bfloat16)) == 0).float() - 0.5
    correlation = 4 * dropped.T @ dropped / len(dropped)
    assert (correlation - torch.eye(64)).abs().max() < 0.1


@pytest.mark.parametrize("dtype", DTYPES)
def test_prelu_has_the_gradients_of_pytorchs(dtype: torch.dtype) -> None:
    exact = gradients(nn.PReLU().double(), features(dtype).double())
    ours = gradients(PReLU(), features(dtype))
    tolerance = {"rtol": 1e-6, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 0.01, "atol": 0.01}
    for own, expected in zip((*ours[:2], *ours[2]), (*exact[:2], *exact[2]), strict=True):
        torch.testing.assert_close(own.double(), expected.double(), **tolerance)
    assert ours[2][0].dtype == torch.float32


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_padding_under_autocast_changes_nothing(mode: str) -> None:
    torch.manual_seed(0)
    ours = PaddedConv2d(8, 4, 3, padding=1, padding_mode=mode)
    theirs = nn.Conv2d(8, 4, 3, padding=1, padding_mode=mode)
    theirs.load_state_dict(ours.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = (gradients(layer, features(torch.bfloat16)) for layer in (ours, theirs))
    assert found[0].dtype == torch.bfloat16
    for own, stock in zip((*found[:2], *found[2]), (*expected[:2], *expected[2]), strict=True):
        torch.testing.assert_close(own, stock, rtol=0.01, atol=0.01)


def test_the_gradient_behind_a_concatenation_has_memory_of_its_own() -> None:
    upper, skip = features().requires_grad_(), features(seed=1).requires_grad_()
    doubled, seen = 2 * upper, []
    joined = concatenate(doubled, skip)
    assert torch.equal(joined, torch.cat([doubled, skip], dim=1))
    doubled.register_hook(lambda gradient: seen.append(gradient.is_contiguous(memory_format=torch.channels_last)))
    weight = torch.randn(joined.shape).contiguous(memory_format=torch.channels_last)
    joined.backward(weight)
    assert seen == [True]
    assert torch.equal(upper.grad, 2 * weight[:, :8]) and torch.equal(skip.grad, weight[:, 8:])


def test_within_an_export_they_are_pytorchs() -> None:
    network = nn.Sequential(PaddedConv2d(8, 8, 3, padding=1, padding_mode="reflect"), PReLU(), Dropout(0.5)).train()
    inputs = features().requires_grad_()
    assert "OneSlope" in PReLU()(inputs).grad_fn.name() and "Mul" in Dropout(0.5)(inputs).grad_fn.name()
    with torch.no_grad():
        names = {str(node.target) for node in torch.export.export(network, (inputs.detach(),)).graph.nodes}
    assert any("prelu" in name for name in names) and any("dropout" in name for name in names)


@pytest.mark.parametrize(
    ("width", "capability", "layout"),
    [(64, "AVX2", torch.contiguous_format), (16, "AVX2", torch.channels_last), (64, "AVX512", torch.channels_last)],
)
def test_the_features_of_a_unet_follow_the_layout_of_its_weights(
    width: int, capability: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    network = Pix2PixUNet(width, levels=2)
    assert network.float32_layout == layout
    network.to(memory_format=layout).decoder[0].register_forward_hook(lambda *seen: found.append(seen[2]))
    found: list[Tensor] = []
    network(torch.rand(2, 3, 32, 32))
    assert found[0].is_contiguous(memory_format=layout) and min(found[0].shape) > 1


def test_state_dicts_are_pytorchs() -> None:
    assert PReLU().state_dict().keys() == nn.PReLU().state_dict().keys()
    ours, theirs = (kind(3, 4, 3, padding_mode="reflect") for kind in (PaddedConv2d, nn.Conv2d))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
