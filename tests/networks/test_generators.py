import copy

import pytest
import torch
from support import ODD
from torch import nn

from gan_restore import recipes
from gan_restore.degradations.base import seeded
from gan_restore.degradations.noise import SaltAndPepper
from gan_restore.networks.blocks import ResidualBlock, RestoringNetwork, enlarge, tanh_range
from gan_restore.networks.denoising_unet import DenoisingUNet
from gan_restore.networks.encoder_decoder import ResidualEncoderDecoder
from gan_restore.networks.impulses import impulse_mask
from gan_restore.networks.layers import Dropout, PaddedConv2d, PReLU
from gan_restore.networks.pix2pix_unet import Pix2PixUNet
from gan_restore.networks.srresnet import SRResNet

FREE = {"norm": "none", "residual": True}
NETWORKS = {
    "denoising": lambda **options: DenoisingUNet(**{"width": 4, "depth": 3, **options}),
    "pix2pix": lambda **options: Pix2PixUNet(**{"width": 4, "levels": 3, **options}),
    "encoder-decoder": lambda **options: ResidualEncoderDecoder(**{"width": 4, "blocks": 1, **options}),
    "srresnet": lambda **options: SRResNet(**{"factor": 2, "width": 4, "blocks": 1, **options}),
}
OPTIONS = [
    ("denoising", {}),
    ("denoising", {"residual": True}),
    ("denoising", {"mask_input": True}),
    ("denoising", {**FREE, "mask_input": True, "dropout": 0}),
    ("denoising", {"unshuffle": 2, "norm": "none"}),
    ("denoising", {"depth": 1}),
    ("pix2pix", {}),
    ("pix2pix", {**FREE, "dropout": 0}),
    ("pix2pix", {"levels": 1}),
    ("pix2pix", {**FREE, "top_hat_input": True}),
    ("pix2pix", {"upsample": "resize"}),
    ("pix2pix", {"upsample": "shuffle", "norm": "instance"}),
    ("encoder-decoder", {}),
    ("encoder-decoder", FREE),
    ("encoder-decoder", {**FREE, "skips": True, "down": 3}),
    ("encoder-decoder", {"blocks": 0, "down": 3, "upsample": "resize"}),
    ("encoder-decoder", {"upsample": "shuffle", "kernel": 3, "down": 0}),
    ("srresnet", {}),
    ("srresnet", {**FREE, "factor": 4, "kernel": 3}),
    ("srresnet", {"upsample": "resize", "norm": "none"}),
]


def make(name: str, **options: object) -> RestoringNetwork:
    return NETWORKS[name](**options)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("size", [*ODD, (1, 1)])
def test_any_size_is_restored_at_its_size_times_the_factor(name: str, options: dict, size: tuple[int, int]) -> None:
    network = make(name, **options).eval()
    factor = getattr(network, "factor", 1)
    with torch.no_grad():
        restored = network(torch.rand(2, 3, *size))
    assert restored.shape == (2, 3, factor * size[0], factor * size[1]) and restored.dtype == torch.float32
    assert restored.min() >= 0 and restored.max() <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_an_untrained_residual_network_gives_the_initial_estimate(name: str, photo: torch.Tensor) -> None:
    network = make(name, **FREE).eval()
    with torch.no_grad():
        restored = network(photo)
    initial_estimate = enlarge(photo, 2).clamp(0, 1) if name == "srresnet" else photo
    assert torch.equal(restored, initial_estimate)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_initial_weights_keep_the_variance_of_the_signal(name: str, norm: str) -> None:
    torch.manual_seed(0)
    more = {"blocks": 16} if name in ("encoder-decoder", "srresnet") else {}
    network = make(name, norm=norm, width=16, residual=True, **more)
    seen = []
    network.out.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].std().item()))
    network(torch.rand(4, 3, 32, 32))
    assert 0.05 < seen[0] < 5


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def norms(network: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_pix2pix_unet() -> None:
    """54.414 M parameters: the count that the authors' PyTorch code prints for unet_256."""
    network = recipes.get("pix2pix", "full").generator()
    assert parameters(network) == pytest.approx(54.414e6, rel=1e-4)
    layers = convolutions(network)
    assert len(layers) == 16 and all(m.kernel_size == (4, 4) and m.stride == (2, 2) for m in layers)
    assert [m.out_channels for m in layers] == [64, 128, 256, *[512] * 5, *[512] * 4, 256, 128, 64, 3]
    assert [m.padding_mode for m in layers] == ["reflect"] * 8 + ["zeros"] * 8
    assert all(isinstance(m, nn.ConvTranspose2d) for m in layers[8:])
    assert norms(network.encoder[0]) == norms(network.encoder[7]) == norms(network.up) == 0
    assert [norms(block) for block in network.encoder[1:7]] == [1] * 6
    assert [norms(block) for block in network.decoder] == [1] * 7
    dropped = [[m.p for m in block if isinstance(m, nn.Dropout)] for block in network.decoder]
    assert dropped == [[0.5]] * 3 + [[]] * 4
    shape = {}
    network.encoder[7].register_forward_hook(lambda _m, _i, output: shape.update(inner=output.shape))
    with torch.no_grad():
        assert network.eval()(torch.rand(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    assert shape["inner"] == (1, 512, 1, 1), "down to one pixel"


@pytest.mark.parametrize(("factor", "count"), [(4, 1.547e6), (2, 1.400e6)])
def test_the_published_srresnet(factor: int, count: float) -> None:
    network = recipes.get("srgan", "full", enlarge=factor).generator()
    assert parameters(network) == pytest.approx(count, rel=0.01)
    layers, ups = convolutions(network), factor // 2
    assert [m.kernel_size[0] for m in layers] == [9] + [3] * 33 + [3] * ups + [9]
    assert [m.out_channels for m in layers] == [64] * 34 + [256] * ups + [3]
    assert sum(isinstance(m, ResidualBlock) for m in network.modules()) == 16 and norms(network) == 33
    assert [type(m) for m in network.blocks[0].layers] == [
        nn.Conv2d, nn.BatchNorm2d, PReLU, nn.Conv2d, nn.BatchNorm2d,
    ]  # fmt: skip
    assert sum(isinstance(m, nn.PReLU) for m in network.modules()) == 1 + 16 + ups
    assert sum(isinstance(m, nn.PixelShuffle) for m in network.modules()) == ups


def test_the_published_encoder_decoders() -> None:
    """resnet-gan: CycleGAN's layout for 256 x 256, c7s1-64, d128, d256, nine R256, u128, u64, c7s1-3."""
    network = recipes.get("resnet-gan", "full").generator()
    layers = convolutions(network)
    assert [m.out_channels for m in layers] == [64, 128, 256, *[256] * 18, 128, 64, 3]
    assert [m.stride[0] for m in layers] == [1, 2, 2, *[1] * 18, 2, 2, 1]
    assert [type(m) for m in layers[-3:]] == [nn.ConvTranspose2d, nn.ConvTranspose2d, PaddedConv2d]
    assert parameters(network) == pytest.approx(11.38e6, rel=0.01) and norms(network) == 23
    face = recipes.get("face-cgan", "full").generator()
    assert [m.out_channels for m in convolutions(face)] == [64, 128, 256, 512, 256, 128, 64, 3]
    assert sum(isinstance(m, nn.Upsample) for m in face.modules()) == 3 and norms(face) == 7


def test_the_published_unet() -> None:
    network = recipes.get("unet-denoiser", "full").generator()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(35e6, rel=0.02)
    assert len(convolutions) == 5 * 2 + 4 * 2 + 1 and all(m.kernel_size == (3, 3) for m in convolutions)
    assert [block[0].out_channels for block in network.encoder] == [64, 128, 256, 512, 1024]
    assert [block[4].stride for block in network.encoder] == [(1, 1)] + [(2, 2)] * 4
    kinds = [type(layer) for layer in network.encoder[0]]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, Dropout, nn.BatchNorm2d] * 2
    assert network.encoder[0][1].negative_slope == 0.1 and network.encoder[0][2].p == 0.2
    assert [(m.in_channels, m.out_channels, m.stride) for m in network.up] == [
        (2 * width, width, (2, 2)) for width in (512, 256, 128, 64)
    ]
    assert (network.out.in_channels, network.out.out_channels) == (64, 3)


def test_undamaged_pixels_keep_their_values(photo: torch.Tensor) -> None:
    network = DenoisingUNet(4, 2, residual=True, mask_input=True)
    nn.init.normal_(network.out.weight)
    noisy = SaltAndPepper(0.1)(photo, seeded(0))
    fine = ~impulse_mask(noisy).expand_as(noisy)
    for mode in (network.train(), network.eval()):
        with torch.no_grad():
            restored = mode(noisy)
        assert torch.equal(restored[fine], noisy[fine]) and not torch.equal(restored[~fine], noisy[~fine])
        assert torch.equal(mode(photo), photo), "a clean photo comes back as it is"


@pytest.mark.parametrize("name", NETWORKS)
def test_in_eval_mode_an_image_does_not_depend_on_its_batch(name: str) -> None:
    network = make(name).eval()
    batch = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network(batch), torch.cat([network(image) for image in batch.split(1)]), atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("options", [{}, FREE], ids=["published", "improved"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_two_steps_change_every_weight(name: str, options: dict, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    network = make(name, **options)
    before = copy.deepcopy(network.state_dict())
    noisy = SaltAndPepper(0.1)(torch.rand(2, 3, 32, 32), seeded(0))
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(2):
        with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
            loss = (network(noisy) - 0.5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.dtype == torch.float32 and loss.isfinite()
    unchanged = [key for key, value in network.named_parameters() if torch.equal(before[key], value)]
    assert not unchanged


PUBLISHED_ACTIVATIONS = {  # slopes of the LeakyReLUs of generator and discriminator, ReLUs, PReLUs, how it ends
    "unet-denoiser": ({0.1}, {0.1}, 0, 0, torch.sigmoid),
    "pix2pix": ({0.2}, {0.2}, 7, 0, tanh_range),  # the eighth ReLU is a function, not a module
    "resnet-gan": (set(), {0.2}, 14, 0, tanh_range),
    "face-cgan": (set(), {0.2}, 7, 0, tanh_range),
    "srgan": (set(), {0.2}, 0, 18, tanh_range),
}


@pytest.mark.parametrize("name", PUBLISHED_ACTIVATIONS)
def test_full_has_the_published_activations(name: str) -> None:
    generator, discriminator = recipes.get(name, "full").generator(), recipes.get(name, "full").discriminator()
    of = lambda network, kind: [part for part in network.modules() if isinstance(part, kind)]  # noqa: E731
    slopes = ({part.negative_slope for part in of(network, nn.LeakyReLU)} for network in (generator, discriminator))
    counts = (len(of(generator, nn.ReLU)), len(of(generator, nn.PReLU)))
    assert (*slopes, *counts, generator.output_activation) == PUBLISHED_ACTIVATIONS[name]


@pytest.mark.parametrize("name", ["unet-denoiser", "pix2pix"])
def test_skip_connections_carry_fine_detail(name: str) -> None:
    """Images that differ by a fine pattern have different outputs even if the deepest level outputs zeros."""
    torch.manual_seed(0)
    network = recipes.get(name, "full", width=8).generator().eval()
    deepest = (network.up if name == "unet-denoiser" else network.decoder)[0]
    deepest.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    flat = torch.full((1, 3, 256, 256), 0.5)
    fine = flat + 0.2 * torch.randn(flat.shape)
    with torch.no_grad():
        assert (network(fine) - network(flat)).abs().mean() > 1e-5
