"""Generators and discriminators."""

import copy

import pytest
import torch
from conftest import ODD
from torch import nn

from gan_restore import recipes
from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.discriminators import DenoisingDiscriminator
from gan_restore.generators import DenoisingUNet
from gan_restore.impulses import impulse_mask

OPTIONS = [
    {},
    {"residual": True},
    {"mask_input": True},
    {"residual": True, "mask_input": True, "norm": "none", "dropout": 0},
    {"unshuffle": 2, "norm": "none"},
    {"depth": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("size", [*ODD, (1, 1)])
def test_any_size_in_the_same_size_out(options: dict, size: tuple[int, int]) -> None:
    network = DenoisingUNet(**{"width": 4, "depth": 3, **options}).eval()
    with torch.no_grad():
        restored = network(torch.rand(2, 3, *size))
    assert restored.shape == (2, 3, *size) and restored.dtype == torch.float32
    assert restored.min() >= 0 and restored.max() <= 1


def test_the_published_unet() -> None:
    network = recipes.get("unet-denoiser", "full").generator()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(35e6, rel=0.02)
    assert len(convolutions) == 5 * 2 + 4 * 2 + 1 and all(m.kernel_size == (3, 3) for m in convolutions)
    assert [block[0].out_channels for block in network.encoder] == [64, 128, 256, 512, 1024]
    assert [block[4].stride for block in network.encoder] == [(1, 1)] + [(2, 2)] * 4
    kinds = [type(layer) for layer in network.encoder[0]]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, nn.Dropout, nn.BatchNorm2d] * 2
    assert network.encoder[0][1].negative_slope == 0.1 and network.encoder[0][2].p == 0.2
    assert [(m.in_channels, m.out_channels, m.stride) for m in network.up] == [
        (2 * width, width, (2, 2)) for width in (512, 256, 128, 64)
    ]
    assert (network.out.in_channels, network.out.out_channels) == (64, 3)


def test_the_published_discriminator() -> None:
    network = recipes.get("unet-denoiser", "full").discriminator()
    convolutions = [m for m in network.layers if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 512, 1] and convolutions[0].in_channels == 6
    assert all(m.stride == (2, 2) and m.kernel_size == (3, 3) for m in convolutions)
    assert [type(m) for m in network.layers] == [nn.Conv2d, nn.LeakyReLU, nn.BatchNorm2d] * 4 + [nn.Conv2d]
    assert network(torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128)).shape == (2, 1, 4, 4)


@pytest.mark.parametrize("size", ODD)
def test_the_discriminator_takes_odd_sizes(size: tuple[int, int]) -> None:
    logits = DenoisingDiscriminator(4)(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert logits.shape == (2, 1, -(-size[0] // 32), -(-size[1] // 32))


def test_undamaged_pixels_pass_untouched(photo: torch.Tensor) -> None:
    network = DenoisingUNet(4, 2, residual=True, mask_input=True)
    nn.init.normal_(network.out.weight)
    noisy = SaltAndPepper(0.1)(photo, seeded(0))
    fine = ~impulse_mask(noisy).expand_as(noisy)
    for mode in (network.train(), network.eval()):
        with torch.no_grad():
            restored = mode(noisy)
        assert torch.equal(restored[fine], noisy[fine]) and not torch.equal(restored[~fine], noisy[~fine])
        assert torch.equal(mode(photo), photo), "a clean photo comes back as it is"


def test_eval_mode_gives_each_image_what_it_gets_alone() -> None:
    network = DenoisingUNet(4, 2).eval()
    batch = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network(batch), torch.cat([network(image) for image in batch.split(1)]), atol=1e-6)


def test_bfloat16_trains() -> None:
    network = DenoisingUNet(4, 2, residual=True, mask_input=True, norm="none", dropout=0)
    before = copy.deepcopy(network.state_dict())
    noisy = SaltAndPepper(0.1)(torch.rand(2, 3, 32, 32), seeded(0))
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            loss = (network(noisy) - 0.5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert all(not torch.equal(before[name], value) for name, value in network.state_dict().items())
