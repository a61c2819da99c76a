"""Each exercise: a right answer passes, and usual mistakes are named."""

import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_restore.exercises import EXERCISES, WrongAnswer, check, feedback
from gan_restore.exercises.functions import PATCH_GAN
from gan_restore.files import UserError
from gan_restore.losses import discriminator_loss, generator_loss
from gan_restore.networks.discriminators import PatchGAN


def mse(restored, clean):
    return (restored - clean).square().mean((1, 2, 3))


def field(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def ignoring_strides(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def own_stride_first(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


def backwards(layers):
    size = 1
    for kernel, stride in layers:
        size = (size - 1) * stride + kernel
    return size


def neighbours(values):
    return F.conv2d(values, torch.ones(values.shape[1], 1, 3, 3), padding=1, groups=values.shape[1])


def fill(degraded, mask):
    known = (~mask).float()
    return torch.where(mask, neighbours(degraded * known) / neighbours(known), degraded)


def fill_in_place(degraded, mask):
    degraded.copy_(fill(degraded, mask))
    return degraded


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def correction(self, x):
        return self.second(F.relu(self.first(x)))

    def forward(self, x):
        return x + self.correction(x)


class NoShortcut(Block):
    def forward(self, x):
        return self.correction(x)


class ActivationAfterTheSum(Block):
    def forward(self, x):
        return F.relu(super().forward(x))


class Linear(Block):
    def correction(self, x):
        return self.second(self.first(x))


class InPlace(Block):
    def forward(self, x):
        x += self.correction(x)
        return x


class NoPadding(Block):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.second = nn.Conv2d(channels, channels, 3)

    def forward(self, x):
        return self.correction(x)


class Shared(Block):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.second = self.first


def step(generator, discriminator, optimizer_g, optimizer_d, degraded, clean):
    restored = generator(degraded)
    real, fake = discriminator(degraded, clean), discriminator(degraded, restored.detach())
    optimizer_d.zero_grad()
    discriminator_loss(real, fake, "hinge").backward()
    optimizer_d.step()
    loss = F.mse_loss(restored, clean) + 0.01 * generator_loss(discriminator(degraded, restored), "hinge")
    optimizer_g.zero_grad()
    loss.backward()
    optimizer_g.step()


def changed_step(*changes: tuple[str, str]) -> Callable[..., None]:
    """`step` with some of its lines changed."""
    import inspect

    source = inspect.getsource(step)
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    names: dict[str, Any] = dict(globals())
    exec(source, names)
    return names["step"]


RIGHT: dict[str, Any] = {
    "enlarge": lambda x, f: F.interpolate(x, scale_factor=f, mode="nearest"),
    "self_ensemble": lambda r, x: torch.stack([r(x), r(x.flip(-1)).flip(-1)]).mean(0),
    "mean_and_spread": lambda values: (statistics.mean(values), statistics.stdev(values)),
    "psnr": lambda restored, clean: -10 * mse(restored, clean).log10(),
    "residual_block": Block,
    "receptive_field": field,
    "generator_loss": lambda logits: -F.logsigmoid(logits).mean(),
    "inpainting": fill,
    "training_step": step,
}

WRONG: list[tuple[str, Any, str]] = [
    ("enlarge", lambda x, f: x.clone(), "nothing is enlarged"),
    ("enlarge", lambda x, f: torch.tile(x, (f, f)), "whole images side by side"),
    ("enlarge", lambda x, f: F.interpolate(x, scale_factor=(1, f)), "only the width"),
    ("enlarge", lambda x, f: F.interpolate(x, scale_factor=(f, 1)), "only the height"),
    ("enlarge", lambda x, f: F.interpolate(x, scale_factor=f, mode="bilinear"), "mixed with their neighbours"),
    ("self_ensemble", lambda r, x: r(x), "the image itself"),
    ("self_ensemble", lambda r, x: (r(x) + r(x.flip(3))) / 2, "a mirror image still"),
    ("self_ensemble", lambda r, x: r(x.flip(3)).flip(3), "the mirror image alone"),
    ("self_ensemble", lambda r, x: r(x) + r(x.flip(3)).flip(3), "half of it"),
    ("self_ensemble", lambda r, x: (r(x) + r(x.flip(2)).flip(2)) / 2, "upside down"),
    ("mean_and_spread", lambda v: (statistics.mean(v), statistics.pstdev(v)), "n - 1"),
    ("mean_and_spread", lambda v: (statistics.mean(v), statistics.variance(v)), "the variance"),
    ("mean_and_spread", lambda v: (statistics.mean(v), max(v) - min(v)), "the range"),
    ("mean_and_spread", lambda v: (statistics.stdev(v), statistics.mean(v)), "the order"),
    ("psnr", lambda r, c: 10 * mse(r, c).log10(), "the sign is wrong"),
    ("psnr", lambda r, c: -10 * F.mse_loss(r, c).log10(), "not over the batch"),
    ("psnr", lambda r, c: -10 * mse(r, c).log10().mean(), "not the mean of these values"),
    ("psnr", lambda r, c: -10 * (r - c).square().mean((2, 3)).log10(), "a value for each channel"),
    ("psnr", lambda r, c: -10 * (r - c).square().log10(), "a value for each pixel"),
    ("psnr", lambda r, c: -10 * (r - c).square().sum((1, 2, 3)).log10(), "not their sum"),
    ("psnr", lambda r, c: -10 * (r - c).abs().mean((1, 2, 3)).log10(), "not of the absolute ones"),
    ("psnr", lambda r, c: -10 * (r - c).mean((1, 2, 3)).square().log10(), "square the errors before"),
    ("psnr", lambda r, c: -10 * mse(r, c).sqrt().log10(), "half of what"),
    ("psnr", lambda r, c: -20 * mse(r, c).log10(), "twice what"),
    ("psnr", lambda r, c: -10 * mse(r, c).log(), "base 10"),
    ("psnr", lambda r, c: 10 * (255**2 / mse(r, c)).log10(), "not 255"),
    ("psnr", lambda r, c: None, "is there a `return`"),
    ("psnr", lambda r, c: "30 dB", "returns a str"),
    (
        "psnr",
        lambda r, c: 30 + 0 * mse(r, c),
        "a tensor (3, 3, 9, 12) the result at [2] is 30",
    ),
    ("psnr", lambda r, c: mse(r, c, 1), "raises TypeError"),
    ("residual_block", NoShortcut, "the shortcut is missing"),
    ("residual_block", ActivationAfterTheSum, "leave out the activation after the sum"),
    ("residual_block", Linear, "the activation between the two convolutions is missing"),
    ("residual_block", InPlace, "changes its input"),
    ("residual_block", NoPadding, "needs padding=1"),
    ("residual_block", Shared, "has 1 convolution(s)"),
    ("residual_block", lambda channels: nn.Conv2d(channels, channels, 3), "has 1 convolution(s)"),
    ("residual_block", lambda channels: lambda x: x, "inherits from nn.Module"),
    ("receptive_field", own_stride_first, "a stride counts from the next layer on"),
    ("receptive_field", ignoring_strides, "the strides are ignored"),
    ("receptive_field", backwards, "reverse the layers"),
    ("receptive_field", lambda layers: field(layers) - 1, "start with 1"),
    ("receptive_field", lambda layers: 70, "for [(3, 1)] the result is 70; it should be 3"),
    ("generator_loss", lambda x: -F.logsigmoid(-x).mean(), "label 1"),
    ("generator_loss", lambda x: F.logsigmoid(-x).mean(), "saturating"),
    ("generator_loss", lambda x: F.logsigmoid(x).mean(), "the sign is wrong"),
    ("generator_loss", lambda x: -F.logsigmoid(x), "the mean is missing"),
    ("generator_loss", lambda x: -F.logsigmoid(x).sum(), "not the sum"),
    (
        "generator_loss",
        lambda x: F.binary_cross_entropy_with_logits(x.sigmoid(), torch.ones_like(x)),
        "the sigmoid is applied twice",
    ),
    ("generator_loss", lambda x: -x.sigmoid().log().mean(), "for a logit of -200 the result is inf"),
    ("generator_loss", lambda x: F.binary_cross_entropy(x.sigmoid(), torch.ones_like(x)), "the result is 100"),
    ("generator_loss", lambda x: -F.logsigmoid(x).mean().item(), "the loss has no gradient"),
    ("generator_loss", lambda x: -x.mean(), "this is the hinge loss"),
    ("inpainting", lambda d, m: d, "nothing is filled"),
    ("inpainting", lambda d, m: fill(d, ~m), "the wrong way round"),
    ("inpainting", lambda d, m: neighbours(d * ~m) / neighbours((~m).float()), "pixels outside the mask"),
    ("inpainting", lambda d, m: torch.where(m, neighbours(d) / 9, d), "contains damaged pixels"),
    ("inpainting", lambda d, m: torch.where(m, neighbours(d * ~m) / 8, d), "not by 8"),
    ("inpainting", lambda d, m: torch.where(m, fill(d, m).mean(1, keepdim=True), d), "the channels are mixed"),
    ("inpainting", fill_in_place, "changes `degraded` itself"),
    ("inpainting", lambda d, m: torch.where(m, torch.nan, d), "contains NaN"),
    ("inpainting", lambda d, m: fill(d, m)[..., 1:-1, 1:-1], "the shape of the result is (2, 3, 10, 7)"),
    ("training_step", changed_step((".detach()", "")), "restored.detach()"),
    ("training_step", changed_step(("    optimizer_d.zero_grad()\n", "")), "gradients of the discriminator add up"),
    ("training_step", changed_step(("    optimizer_g.zero_grad()\n", "")), "gradients of the generator add up"),
    (
        "training_step",
        changed_step(("    optimizer_g.zero_grad()\n", ""), ("    optimizer_d.zero_grad()\n", "")),
        "gradients of both networks add up",
    ),
    ("training_step", changed_step(("(real, fake,", "(fake, real,")), "are swapped"),
    ("training_step", changed_step(("+ 0.01", "- 0.01")), "the sign of the adversarial loss"),
    ("training_step", changed_step(("(degraded, restored)", "(degraded, restored.detach())")), "does not reach"),
    ("training_step", changed_step(("0.01 * ", "")), "the weight of the adversarial loss"),
    ("training_step", changed_step(("F.mse_loss(restored, clean) +", "")), "the pixel loss is missing"),
    ("training_step", changed_step(("    optimizer_d.step()\n", "")), "the discriminator is not updated"),
    ("training_step", changed_step(("    optimizer_g.step()\n", "")), "the generator is not updated"),
    (
        "training_step",
        changed_step(
            ("generator_loss(discriminator(degraded, restored), ", "generator_loss(early, "),
            (
                "    optimizer_d.zero_grad()\n",
                "    optimizer_d.zero_grad()\n    early = discriminator(degraded, restored)\n",
            ),
        ),
        "update the discriminator first",
    ),
    ("training_step", changed_step(("F.mse_loss", "F.l1_loss")), "the weights of the generator differ"),
]


def test_every_exercise_has_a_right_answer_and_three_wrong_ones_here() -> None:
    assert RIGHT.keys() == EXERCISES.keys()
    assert all(sum(name == wrong for wrong, _, _ in WRONG) >= 3 for name in EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_passes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(name, RIGHT[name])
    feedback(name, RIGHT[name])
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith("Right: ")


@pytest.mark.parametrize(("name", "answer", "said"), WRONG, ids=[f"{name}: {said}" for name, _, said in WRONG])
def test_a_mistake_is_named(name: str, answer: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WrongAnswer) as caught:
        check(name, answer)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    feedback(name, answer)
    assert capsys.readouterr().out == f"{caught.value}\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_answer_is_not_yet_one(name: str) -> None:
    def blank(*_):
        raise NotImplementedError("Write your code here.")

    with pytest.raises(WrongAnswer, match=r"Not yet: replace the `\.\.\.`"):
        check(name, ...)
    with pytest.raises(WrongAnswer, match="Not yet: replace the line"):
        check(name, blank)


def test_other_ways_to_write_it_are_right_too() -> None:
    check("psnr", lambda r, c: 20 * torch.log10(1 / mse(r, c).sqrt()))
    check("receptive_field", lambda layers: backwards(layers[::-1]))
    check("generator_loss", lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)))
    # zero_grad() of G follows, so a second pass through G without detach only costs time.
    check("training_step", changed_step(("restored.detach()", "generator(degraded)")))


def test_an_unknown_exercise_is_refused() -> None:
    with pytest.raises(UserError, match=r"no exercise 'pnsr' \(did you mean psnr\?\)"):
        check("pnsr", ...)


def test_the_field_of_patch_gan_is_the_one_that_its_gradient_shows() -> None:
    discriminator = PatchGAN(4).eval()
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = discriminator(torch.rand(1, 3, 160, 160), image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    rows = image.grad[0].abs().sum((0, 2)).nonzero()
    assert rows.max() - rows.min() + 1 == field(PATCH_GAN) == 70
