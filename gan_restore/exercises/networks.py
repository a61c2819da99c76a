"""Checks of a residual block and of a training step: networks with known weights are run and trained."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_restore import losses, recipes
from gan_restore.degradations.base import seeded
from gan_restore.networks.blocks import ResidualBlock
from gan_restore.training.steps import discriminator_step, generator_step

ADVERSARIAL_WEIGHT = 0.01


def residual_block(answer: Callable[[int], nn.Module]) -> str:
    """Check `channels -> module`: x + two 3x3 convolutions with a ReLU between them, and none at the end."""
    block = answer(8)
    if not isinstance(block, nn.Module):
        return "the block must be a network: a class that inherits from nn.Module, called with the channels."
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) != 2:
        return f"the block has {len(convolutions)} convolution(s); it needs two, each with weights of its own."
    if any(layer.kernel_size != (3, 3) for layer in convolutions):
        return "both convolutions need kernels of 3 x 3."
    features = torch.randn(2, 8, 10, 7, generator=seeded(0))
    given = features.clone()
    with torch.no_grad():
        result = block(given)
        if result.shape != features.shape:
            shapes = f"{tuple(features.shape)} becomes {tuple(result.shape)}"
            return f"{shapes}; it should keep its shape. A 3x3 convolution needs padding=1."
        if not torch.equal(given, features):
            return "the block changes its input: leave out inplace=True, and write x + ... instead of x += ..."
        return _compare_with_library(block, convolutions, features)


def _compare_with_library(block: nn.Module, convolutions: list[nn.Conv2d], features: Tensor) -> str:
    def stack(*layers: nn.Module) -> nn.Module:
        return nn.Sequential(*layers)

    first, second = convolutions
    library = ResidualBlock(8, "none", nn.ReLU)
    library.layers[0], library.layers[2] = first, second
    relu, result = nn.ReLU(), block(features)
    inside = stack(first, relu, second)
    variants = [
        (library(features), ""),
        (inside(features), "the shortcut is missing: add the input to the result of the convolutions."),
        (
            relu(library(features)),
            "leave out the activation after the sum: it cuts off the negative features of the input.",
        ),
        (
            features + stack(first, second)(features),
            "the activation between the two convolutions is missing: without it they are one linear map.",
        ),
        (
            features + relu(inside(features)),
            "leave out the activation after the second convolution: a correction can be negative.",
        ),
        (
            features + stack(relu, first, second)(features),
            "put the ReLU between the two convolutions, not before the first one.",
        ),
    ]
    for values, hint in variants:
        if torch.allclose(result, values, atol=1e-5):
            return hint
    return "with the same weights the result differs from x + conv2(relu(conv1(x)))."


class _Judge(nn.Module):
    """A small discriminator without normalisation, so that the order of its calls does not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, degraded: Tensor, image: Tensor) -> Tensor:
        return self.layers(torch.cat([degraded, image], dim=1))


NAMES = ("generator", "discriminator")

Step = Callable[..., Any]


def training_step(answer: Step) -> str:
    """Check one training step: `(generator, discriminator, optimizer_g, optimizer_d, degraded, clean)`.

    First the discriminator is updated by the hinge loss, `discriminator_loss(real, fake, "hinge")`. Then the
    generator is updated by the mean squared error plus 0.01 times `generator_loss(fake, "hinge")`, with the
    discriminator as it is now. The discriminator is called as `discriminator(degraded, image)`. What the function
    returns is ignored.
    """
    try:
        result = _weights_after(answer)
    except RuntimeError as error:
        if "second time" in str(error):
            return "the discriminator's loss reaches the generator: pass it restored.detach()."
        if "inplace operation" in str(error):
            return _LATE
        raise
    if _equal(result, _weights_after(_library_step)):
        return ""
    start = _weights_after(_library_step, 0)
    for network, before, after in zip(NAMES, start, result, strict=True):
        if _equal([before], [after]):
            return f"the {network} is not updated: call backward() on its loss and step() of its optimizer."
    for changes, hint in _MISTAKES:
        if _equal(result, _weights_after(_step_with(**changes))):
            return hint
    result, expected = (_weights_after(step, 1) for step in (answer, _library_step))
    wrong = [name for name, a, b in zip(NAMES, result, expected, strict=True) if not _equal([a], [b])]
    if not wrong:
        return "the second step goes wrong: it must not depend on the first one."
    return f"after a step, the weights of the {' and of the '.join(wrong)} differ from the right ones."


_LATE = "update the discriminator first, then call it again for the generator's loss."

_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"clear_d": False}, "the gradients of the discriminator add up: call zero_grad() before its backward()."),
    ({"clear_g": False}, "the gradients of the generator add up: call zero_grad() before its backward()."),
    (
        {"clear_d": False, "clear_g": False},
        "the gradients of both networks add up: call zero_grad() before each backward().",
    ),
    ({"swapped": True}, "`real` and `fake` are swapped in the discriminator's loss."),
    (
        {"adversarial": -ADVERSARIAL_WEIGHT},
        "the sign of the adversarial loss is wrong: it must fall as the logits of restored images rise.",
    ),
    (
        {"adversarial": 0.0},
        "the adversarial loss does not reach the generator: is it in the sum, and `restored` not detached there?",
    ),
    ({"adversarial": 1.0}, "the weight of the adversarial loss, 0.01, is missing."),
    ({"pixel": 0.0}, "the pixel loss is missing in the generator's loss."),
    ({"late": True}, _LATE),
]
"""How a step differs from the right one, and what the learner reads."""


def _step_with(
    clear_d: bool = True,
    clear_g: bool = True,
    swapped: bool = False,
    adversarial: float = ADVERSARIAL_WEIGHT,
    pixel: float = 1.0,
    late: bool = False,
) -> Step:
    """A training step with some mistakes; `late` updates the discriminator after the generator."""

    def step(generator: nn.Module, discriminator: nn.Module, of_g: Any, of_d: Any, *batch: Tensor) -> None:
        degraded, clean = batch
        restored = generator(degraded)

        def update_discriminator() -> None:
            real, fake = discriminator(degraded, clean), discriminator(degraded, restored.detach())
            loss = losses.discriminator_loss(*((fake, real) if swapped else (real, fake)), "hinge")
            if clear_d:
                of_d.zero_grad()
            loss.backward()
            of_d.step()

        def update_generator() -> None:
            fake = losses.generator_loss(discriminator(degraded, restored), "hinge")
            if clear_g:
                of_g.zero_grad()
            (pixel * losses.pixel_loss(restored, clean) + adversarial * fake).backward()
            of_g.step()

        updates = [update_discriminator, update_generator]
        for update in reversed(updates) if late else updates:
            update()

    return step


def _library_step(generator: nn.Module, discriminator: nn.Module, of_g: Any, of_d: Any, *batch: Tensor) -> None:
    degraded, clean = batch
    changes = {"adversarial": "hinge", "adversarial_weight": ADVERSARIAL_WEIGHT, "pixel_loss": "mse"}
    recipe = recipes.get("unet-denoiser", "smoke", pixel_weight=1.0, real_label=1.0, **changes)
    restored = generator(degraded)
    discriminator_step(discriminator, of_d, degraded, clean, restored, recipe)
    generator_step(discriminator, of_g, degraded, clean, restored, recipe)


def _weights_after(step: Step, count: int = 2) -> list[Tensor]:
    """The weights of the generator and of the discriminator after some steps from the same start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = nn.Conv2d(3, 3, 3, padding=1), _Judge()
        batches = torch.rand(2, 2, 4, 3, 16, 16)
    # Plain gradient descent shows the size of every gradient, which Adam would divide out.
    optimizers = [torch.optim.SGD(network.parameters(), 0.3) for network in (generator, discriminator)]
    for degraded, clean in batches[:count]:
        step(generator, discriminator, *optimizers, degraded, clean)
    return [torch.cat([weight.detach().flatten() for weight in n.parameters()]) for n in (generator, discriminator)]


def _equal(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(first, second, strict=True))
