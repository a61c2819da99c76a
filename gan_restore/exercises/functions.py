"""Checks of functions: their results for several inputs are compared with the library and with usual mistakes."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore import losses, metrics
from gan_restore.degradations.base import seeded
from gan_restore.exercises.comparing import Mistakes, close, compare

PATCH_GAN = [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]
"""Kernel and stride of the convolutions of `networks.PatchGAN`."""


def psnr(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check `(restored, clean) -> PSNR of each image in dB`: two batches N x 3 x H x W in [0, 1] -> N values."""

    def squared(r: Tensor, c: Tensor) -> Tensor:
        return (r - c).square()

    def mean(values: Tensor) -> Tensor:
        return values.mean((1, 2, 3))

    def db(error: Tensor) -> Tensor:
        return -10 * error.log10()

    mistakes: Mistakes = [
        (
            lambda r, c: -db(mean(squared(r, c))),
            "the sign is wrong: a smaller error must give a larger PSNR, 10 log10(1 / MSE).",
        ),
        (
            lambda r, c: db(squared(r, c).mean()),
            "return one value for each image: take the mean over channels, rows and columns, not over the batch.",
        ),
        (
            lambda r, c: db(mean(squared(r, c))).mean(),
            "return one value for each image, and not the mean of these values.",
        ),
        (
            lambda r, c: db(squared(r, c).mean((2, 3))),
            "the mean over the channels is missing: the result has a value for each channel.",
        ),
        (lambda r, c: db(squared(r, c)), "the mean is missing: the result has a value for each pixel."),
        (lambda r, c: db(squared(r, c).sum((1, 2, 3))), "take the mean of the squared errors, not their sum."),
        (lambda r, c: db(mean((r - c).abs())), "take the mean of the squared errors, not of the absolute ones."),
        (lambda r, c: db(mean(r - c).square()), "square the errors before you take their mean."),
        (
            lambda r, c: db(mean(squared(r, c)).sqrt()),
            "the values are half of what they should be: 10 log10(1 / MSE) needs no root.",
        ),
        (
            lambda r, c: 2 * db(mean(squared(r, c))),
            "the values are twice what they should be: the factor is 10 for the MSE, and 20 only for its root.",
        ),
        (
            lambda r, c: -10 * mean(squared(r, c)).log(),
            "use the logarithm to base 10 (log10), not the natural one (log).",
        ),
        (
            lambda r, c: db(mean(squared(r, c))) + 20 * math.log10(255),
            "the range is wrong: images lie in [0, 1], so the peak is 1, not 255.",
        ),
    ]
    clean, noise = torch.rand(2, 3, 3, 9, 12, generator=seeded(0))
    restored = (clean + torch.tensor([0.05, 0.2, 0.8]).view(3, 1, 1, 1) * noise).clamp(0, 1)
    return compare(answer, metrics.psnr, [(restored, clean), (restored[2:], clean[2:])], mistakes)


def receptive_field(answer: Callable[[list[tuple[int, int]]], int]) -> str:
    """Check `layers -> side of the receptive field`. A layer is (kernel, stride); the first is at the input."""

    def recursion(step: Callable[[int, int, int, int], tuple[int, int]], start: int = 1) -> Callable[..., int]:
        def side(layers: list[tuple[int, int]]) -> int:
            field, jump = start, 1
            for kernel, stride in layers:
                field, jump = step(field, jump, kernel, stride)
            return field

        return side

    mistakes: Mistakes = [
        (
            recursion(lambda f, j, k, s: (f + (k - 1) * j * s, j * s)),
            "a stride counts from the next layer on: add (kernel - 1) * jump first, then multiply the jump.",
        ),
        (
            recursion(lambda f, j, k, s: (f + k * j, j * s)),
            "each layer adds kernel - 1 steps, not kernel: a 1 x 1 convolution does not enlarge the field.",
        ),
        (
            recursion(lambda f, j, k, s: (f + k - 1, j)),
            "the strides are ignored: after a stride of 2, neighbours are 2 pixels apart.",
        ),
        (
            recursion(lambda f, j, k, s: (f + (k - 1) * j, s)),
            "the strides must be multiplied: after two strides of 2, neighbours are 4 pixels apart.",
        ),
        (
            recursion(lambda f, j, k, s: (f + (k - 1) * j, j * s), start=0),
            "start with 1: without any layer the field is one pixel.",
        ),
        (
            recursion(lambda f, j, k, s: ((f - 1) * s + k, 1)),
            "(field - 1) * stride + kernel is right from the last layer to the first: reverse the layers.",
        ),
    ]
    stacks = [[(3, 1)], [(3, 1), (3, 1)], PATCH_GAN, [(9, 1), (3, 2), (1, 1), (5, 3), (3, 1)]]
    right = recursion(lambda f, j, k, s: (f + (k - 1) * j, j * s))
    return compare(answer, right, [(stack,) for stack in stacks], mistakes)


def generator_loss(answer: Callable[[Tensor], Tensor]) -> str:
    """Check the non-saturating loss of the generator: `logits for restored images -> mean(-log sigma(logits))`."""
    mistakes: Mistakes = [
        (
            lambda x: F.softplus(x).mean(),
            "this is the loss for label 0. The generator wants its images to be taken for clean ones: label 1.",
        ),
        (
            lambda x: -F.softplus(x).mean(),
            "this is the saturating loss log(1 - D), whose slope vanishes where D is sure. Use -log D.",
        ),
        (lambda x: F.logsigmoid(x).mean(), "the sign is wrong: the loss must fall as the logits rise."),
        (lambda x: F.softplus(-x), "the mean is missing: the loss must be one number."),
        (
            lambda x: F.softplus(-x).sum(),
            "take the mean, not the sum: the loss must not depend on the number of logits.",
        ),
        (
            lambda x: F.softplus(-x.sigmoid()).mean(),
            "the sigmoid is applied twice: losses `with_logits`, logsigmoid and softplus take logits.",
        ),
        (lambda x: -x.mean(), "this is the hinge loss; use binary cross-entropy."),
        (lambda x: (x - 1).square().mean(), "this is the least-squares loss; use binary cross-entropy."),
    ]
    logits = [3 * torch.randn(4, 1, generator=seeded(0)), 3 * torch.randn(2, 1, 5, 6, generator=seeded(1))]
    wrong = compare(answer, losses.generator_loss, [(x,) for x in logits], mistakes)
    if wrong:
        return wrong
    certain = answer(torch.full((2, 1), -200.0))
    if not close(certain, 200.0):
        return (
            f"for a logit of -200 the result is {float(certain):.4g}, not 200, because the sigmoid rounds to 0. "
            "Use binary_cross_entropy_with_logits, logsigmoid or softplus."
        )
    loss = answer(logits[0].clone().requires_grad_())
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        return "the loss has no gradient; leave out detach(), item() and no_grad()."
    return ""


def inpainting(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check `(degraded, mask) -> restored`: each hole gets the mean of the known pixels among its 8 neighbours.

    `degraded` is N x 3 x H x W in [0, 1], and `mask` N x 1 x H x W, bool, true in the holes.
    """

    def around(values: Tensor) -> Tensor:  # sum over 3 x 3 pixels
        kernel = torch.ones(values.shape[1], 1, 3, 3)
        return F.conv2d(values, kernel, padding=1, groups=values.shape[1])

    def mean(degraded: Tensor, known: Tensor) -> Tensor:
        return around(degraded * known) / around(known).clamp(min=1)

    def fill(degraded: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask, mean(degraded, (~mask).float()), degraded)

    def inside(values: Tensor) -> Tensor:  # without the border
        return values[..., 1:-1, 1:-1]

    mistakes: Mistakes = [
        (lambda d, m: d, "nothing is filled: the result is the degraded image."),
        (lambda d, m: fill(d, ~m), "the mask is used the wrong way round: it is true in the holes."),
        (
            lambda d, m: torch.where(m, d, around(d * m) / around(m.float())),  # not a number far from the holes
            "the mask is used the wrong way round: it is true in the holes.",
        ),
        (
            lambda d, m: mean(d, (~m).float()),
            "pixels outside the mask are changed too; keep them: torch.where(mask, filled, degraded).",
        ),
        (
            lambda d, m: torch.where(m, mean(d, torch.ones_like(d[:, :1])), d),
            "the mean contains damaged pixels: multiply by ~mask before you add up the neighbours.",
        ),
        (
            lambda d, m: torch.where(m, around(d) / 9, d),
            "the mean contains damaged pixels: multiply by ~mask before you add up the neighbours.",
        ),
        (
            lambda d, m: torch.where(m, around(d * ~m) / 9, d),
            "divide by the number of known neighbours of each pixel, not by 9.",
        ),
        (
            lambda d, m: torch.where(m, around(d * ~m) / 8, d),
            "divide by the number of known neighbours of each pixel, not by 8.",
        ),
        (
            lambda d, m: torch.where(m, around(d * ~m) / inside(around(F.pad((~m).float(), (1,) * 4, value=1))), d),
            "the border is wrong: places beyond it are not known neighbours.",
        ),
        (
            lambda d, m: torch.where(m, mean(d, (~m).float()).mean(1, keepdim=True), d),
            "the channels are mixed: fill each channel with the mean of the same channel.",
        ),
    ]
    ramp = torch.linspace(0.2, 0.8, 3 * 12 * 9).view(1, 3, 12, 9)
    images = [torch.cat([ramp, ramp.flip(3)]), torch.rand(1, 3, 8, 11, generator=seeded(0))]
    inputs = []
    for image in images:
        holes = torch.rand(len(image), 1, *image.shape[2:], generator=seeded(1)) < 0.2
        holes[..., 0, 0] = True  # a corner
        holes &= around((~holes).float()) > 0
        inputs.append((image.masked_fill(holes, 1.0), holes))
    wrong = compare(answer, fill, inputs, mistakes)
    if wrong:
        return wrong
    given = inputs[0][0].clone()
    answer(given, inputs[0][1])
    if not torch.equal(given, inputs[0][0]):
        return "the values are right, but the function changes `degraded` itself: work on degraded.clone()."
    return ""


def enlarge(answer: Callable[[Tensor, int], Tensor]) -> str:
    """Check `(images, factor) -> enlarged`: each pixel becomes a square of factor x factor equal pixels."""

    def right(images: Tensor, factor: int) -> Tensor:
        return images.repeat_interleave(factor, -2).repeat_interleave(factor, -1)

    mistakes: Mistakes = [
        (lambda x, f: x, "nothing is enlarged: the result has the size of the input."),
        (
            lambda x, f: x.repeat(1, 1, f, f),
            "`repeat` puts whole images side by side; `repeat_interleave` repeats each pixel.",
        ),
        (lambda x, f: x.repeat_interleave(f, -1), "only the width is enlarged; repeat the rows, too."),
        (lambda x, f: x.repeat_interleave(f, -2), "only the height is enlarged; repeat the columns, too."),
        (
            lambda x, f: F.interpolate(x, scale_factor=f, mode="bilinear"),
            "the pixels are mixed with their neighbours; each must become a square of equal pixels.",
        ),
    ]
    images = torch.rand(2, 3, 5, 4, generator=seeded(0))
    return compare(answer, right, [(images, 4), (images[:1], 2), (images[:1], 1)], mistakes)


def self_ensemble(answer: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]) -> str:
    """Check `(restorer, degraded) -> restored`: the mean of the answers to the image and its mirror image."""

    def right(restorer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        return (restorer(x) + restorer(x.flip(-1)).flip(-1)) / 2

    mistakes: Mistakes = [
        (lambda r, x: r(x), "this is the answer to the image itself; take the mean with that to its mirror image."),
        (
            lambda r, x: (r(x) + r(x.flip(-1))) / 2,
            "the second answer is a mirror image still; turn it back before you take the mean.",
        ),
        (
            lambda r, x: r(x.flip(-1)).flip(-1),
            "this is the answer to the mirror image alone; take the mean with that to the image.",
        ),
        (lambda r, x: 2 * right(r, x), "this is the sum of both answers, and the mean is half of it."),
        (
            lambda r, x: (r(x) + r(x.flip(-2)).flip(-2)) / 2,
            "the image is turned upside down; mirror it from left to right: flip(-1).",
        ),
    ]

    def restorer(images: Tensor) -> Tensor:  # its answer depends on the place, as that of a network at the border
        weights = torch.linspace(0.2, 0.9, images.shape[-1]) * torch.linspace(0.5, 1.0, images.shape[-2])[:, None]
        return images * weights

    images = torch.rand(2, 3, 6, 5, generator=seeded(0))
    return compare(answer, right, [(restorer, images)], mistakes)


def mean_and_spread(answer: Callable[[list[float]], tuple[float, float]]) -> str:
    """Check `values -> (mean, standard deviation)` of a sample, with n - 1 in the denominator."""

    def both(deviation: Callable[[Tensor], Tensor]) -> Callable[[list[float]], Tensor]:
        return lambda values: torch.stack([torch.tensor(values).mean(), deviation(torch.tensor(values))])

    mistakes: Mistakes = [
        (
            both(lambda v: v.std(correction=0)),
            "divide by n - 1: the mean was taken from the same values, which makes the deviations too small.",
        ),
        (both(lambda v: v.var()), "this is the variance; the standard deviation is its root."),
        (both(lambda v: v.max() - v.min()), "this is the range; take the standard deviation."),
        (lambda v: both(lambda u: u.std())(v).flip(0), "the order is wrong: first the mean, then the spread."),
    ]
    values = [[26.4, 26.5, 25.9], [30.0, 31.0], [1.0, 2.0, 4.0, 8.0]]
    return compare(answer, both(lambda v: v.std()), [(v,) for v in values], mistakes)
