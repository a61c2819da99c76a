import pytest
import torch
from support import ODD
from torch import nn

from gan_restore import recipes
from gan_restore.networks.discriminators import Classifier, DenoisingDiscriminator, LocalDiscriminator, PatchGAN
from gan_restore.networks.layers import PaddedConv2d


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_denoising_discriminator() -> None:
    network = recipes.get("unet-denoiser", "full").discriminator()
    layers = convolutions(network)
    assert [m.out_channels for m in layers] == [64, 128, 256, 512, 1] and layers[0].in_channels == 6
    assert all(m.stride == (2, 2) and m.kernel_size == (3, 3) for m in layers)
    assert [type(m) for m in network.layers] == [nn.Conv2d, nn.LeakyReLU, nn.BatchNorm2d] * 4 + [nn.Conv2d]
    assert network(torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128)).shape == (2, 1, 4, 4)


@pytest.mark.parametrize("size", ODD)
def test_the_discriminator_takes_odd_sizes(size: tuple[int, int]) -> None:
    logits = DenoisingDiscriminator(4)(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert logits.shape == (2, 1, -(-size[0] // 32), -(-size[1] // 32))


def test_the_published_patchgan() -> None:
    """2.769 M parameters: the count that the authors' PyTorch code prints for its 70 x 70 PatchGAN."""
    network = recipes.get("pix2pix", "full").discriminator()
    assert parameters(network) == pytest.approx(2.769e6, rel=1e-3)
    layers = convolutions(network)
    assert [m.out_channels for m in layers] == [64, 128, 256, 512, 1] and layers[0].in_channels == 6
    assert [m.stride[0] for m in layers] == [2, 2, 2, 1, 1] and all(m.kernel_size == (4, 4) for m in layers)
    assert all(m.padding_mode == "reflect" for m in layers)
    assert [type(m) for m in network.layers] == [
        PaddedConv2d, nn.LeakyReLU, *[PaddedConv2d, nn.BatchNorm2d, nn.LeakyReLU] * 3, PaddedConv2d,
    ]  # fmt: skip
    assert network(torch.rand(1, 3, 256, 256), torch.rand(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_a_patch_is_70_pixels_wide() -> None:
    network = PatchGAN(4).eval()
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    network(torch.rand(1, 3, 256, 256), image)[0, 0, 15, 15].backward()
    touched = image.grad.abs().sum((0, 1)) > 0
    assert touched.any(0).sum() == 70 and touched.any(1).sum() == 70


def test_the_published_srgan_discriminator() -> None:
    network = recipes.get("srgan", "full").discriminator()
    layers = convolutions(network)
    assert [m.out_channels for m in layers] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [m.stride[0] for m in layers] == [1, 2] * 4 and all(m.kernel_size == (3, 3) for m in layers)
    assert [type(m) for m in network.layers][:5] == [
        nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU,
    ]  # fmt: skip
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 7, "after each but the first"
    dense = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
    assert dense == [(512, 1024), (1024, 1)]
    assert all(m.negative_slope == 0.2 for m in network.modules() if isinstance(m, nn.LeakyReLU))


def test_the_published_classifiers() -> None:
    alone = recipes.get("resnet-gan", "full").discriminator()
    assert convolutions(alone)[0].in_channels == 3, "one probability for the image itself"
    assert sum(isinstance(m, nn.BatchNorm2d) for m in alone.modules()) == 3
    conditioned = recipes.get("face-cgan", "full").discriminator()
    assert convolutions(conditioned)[0].in_channels == 6, "conditioned on the degraded face"
    dense = [(m.in_features, m.out_features) for m in conditioned.modules() if isinstance(m, nn.Linear)]
    assert dense == [(512 * 16, 1024), (1024, 1)]


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("conditioned", [True, False])
def test_a_classifier_gives_one_logit_at_any_size(size: tuple[int, int], conditioned: bool) -> None:
    network = Classifier([(4, 1), (8, 2)], conditioned=conditioned, grid=2, dense=[6])
    degraded, image = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    assert network(degraded, image).shape == (2, 1)
    changed = not torch.equal(network.eval()(degraded, image), network(degraded.flip(1), image))
    assert changed is conditioned


def test_the_local_discriminator_is_five_convolutions_of_bounded_gain() -> None:
    network = LocalDiscriminator(8)
    layers = convolutions(network)
    assert [m.out_channels for m in layers] == [4, 16, 16, 16, 1] and layers[0].in_channels == 3
    assert all(m.kernel_size == (3, 3) and m.stride == (1, 1) for m in layers)
    with torch.no_grad():
        for layer in layers:
            layer.parametrizations.weight.original.mul_(50)
        for _ in range(30):  # each pass in training mode improves the estimate of the largest singular value
            network(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("size", ODD)
def test_the_local_discriminator_judges_20_pixels_of_the_image_alone(size: tuple[int, int]) -> None:
    network = LocalDiscriminator(4).eval()
    image = torch.rand(2, 3, *size, requires_grad=True)
    logits = network(torch.rand(2, 3, 5, 5), image)
    assert logits.shape == (2, 1, size[0] // 2, size[1] // 2)
    large = torch.rand(1, 3, 64, 64, requires_grad=True)
    network(large, large)[0, 0, 16, 16].backward()
    touched = large.grad.abs().sum((0, 1)) > 0
    assert touched.any(0).sum() == 20 and touched.any(1).sum() == 20


def test_the_local_discriminator_tells_even_columns_from_odd_ones() -> None:
    """So it detects a grid that a generator draws at fixed places."""
    torch.manual_seed(0)
    network = LocalDiscriminator(8).eval()
    stripes = torch.tensor([0.0, 1.0]).repeat(1, 3, 32, 16)
    with torch.no_grad():
        even, odd = (network(x, x)[..., 6:-6, 6:-6] for x in (stripes, stripes.flip(-1)))
    assert (even - odd).abs().mean() > 0.01


def test_the_gradient_of_the_local_discriminator_has_no_grid() -> None:
    """For comparison, the strided network of `unet-denoiser` gives some pixels many times what others get."""
    power = {}
    for name, network in (("local", LocalDiscriminator(8)), ("strided", DenoisingDiscriminator(8))):
        torch.manual_seed(0)
        image = torch.rand(16, 3, 64, 64, requires_grad=True)
        network(image.detach(), image).mean().backward()
        at = image.grad.square().mean((0, 1)).reshape(16, 4, 16, 4).mean((0, 2))  # by the place within 4 x 4
        power[name] = (at.max() / at.min()).item()
    assert power["local"] < 1.5 and power["strided"] > 5


def test_the_local_discriminator_sees_the_image_in_32_bits() -> None:
    network, kinds = LocalDiscriminator(4), []
    for layer in (network.layers[0], network.layers[-1]):
        layer.register_forward_hook(lambda _layer, inputs, output: kinds.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))
    assert kinds == [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16)]
