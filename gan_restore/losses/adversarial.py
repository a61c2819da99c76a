"""Adversarial losses of the discriminator and of the generator.

`real` are the discriminator's logits for clean images and `fake` those for restored images: N x 1, or N x 1 x h x w
from a discriminator that judges patches. Every loss is a mean over all logits. sigma is the logistic function.
"""

from typing import Literal, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

Adversarial = Literal["bce", "least-squares", "hinge"]
"""Binary cross-entropy, least squares or hinge: see `discriminator_loss` and `generator_loss`."""


def discriminator_loss(real: Tensor, fake: Tensor, kind: Adversarial = "bce", real_label: float = 1.0) -> Tensor:
    """Loss of the discriminator: it falls as the discriminator separates clean images from restored ones.

    It is (L(real) + L(fake)) / 2, the mean of a term for clean and a term for restored images. l is `real_label`:

    - "bce", binary cross-entropy (Goodfellow et al. 2014):
      L(real) = mean(-l log sigma(real) - (1 - l) log(1 - sigma(real))), L(fake) = mean(-log(1 - sigma(fake)));
    - "least-squares" (Mao et al. 2017): L(real) = mean((real - l)^2), L(fake) = mean(fake^2);
    - "hinge" (Lim and Ye 2017): L(real) = mean(max(0, 1 - real)), L(fake) = mean(max(0, 1 + fake)).

    Args:
        real: logits for clean images.
        fake: logits for restored images.
        kind: which of the three.
        real_label: target for clean images. A value below 1 is one-sided label smoothing (Salimans et al. 2016),
            which keeps the discriminator from becoming overconfident. "hinge" has no target, only a margin, and
            ignores it.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if `kind` is none of the three.

    Example:
        >>> real, fake = torch.tensor([[2.0]]), torch.tensor([[0.5]])
        >>> discriminator_loss(real, fake, "least-squares")
        tensor(0.6250)
        >>> discriminator_loss(real, fake, "hinge")
        tensor(0.7500)
    """
    if kind == "bce":
        labels = torch.full_like(real, real_label)
        return (F.binary_cross_entropy_with_logits(real, labels) + F.softplus(fake).mean()) / 2
    if kind == "least-squares":
        return ((real - real_label).square().mean() + fake.square().mean()) / 2
    if kind == "hinge":
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2
    _refuse(kind)


def generator_loss(fake: Tensor, kind: Adversarial = "bce") -> Tensor:
    """Adversarial loss of the generator: it falls as the discriminator takes restored images for clean ones.

    - "bce": mean(-log sigma(fake)), the non-saturating form (Goodfellow et al. 2014, section 3), whose gradient
      does not vanish where the discriminator is certain;
    - "least-squares": mean((fake - 1)^2) (Mao et al. 2017);
    - "hinge": -mean(fake) (Lim and Ye 2017).

    Args:
        fake: logits for restored images.
        kind: which of the three.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if `kind` is none of the three.

    Example:
        >>> generator_loss(torch.tensor([[0.5]]), "least-squares")
        tensor(0.2500)
    """
    if kind == "bce":
        return F.softplus(-fake).mean()
    if kind == "least-squares":
        return (fake - 1).square().mean()
    if kind == "hinge":
        return -fake.mean()
    _refuse(kind)


def probability(logits: Tensor, kind: Adversarial = "bce") -> Tensor:
    """The discriminator's estimate that an image is clean, in [0, 1]: D(real) and D(fake) in logs and figures.

    For "bce" it is sigma(logits). Least-squares and hinge discriminators give no probability. Their targets for
    restored and clean images (0 and 1; -1 and 1) are mapped to 0 and 1, and values beyond are clipped.

    Args:
        logits: any shape, which the result keeps.
        kind: the loss that the discriminator is trained with.

    Raises:
        ValueError: if `kind` is none of the three.

    Example:
        >>> probability(torch.tensor([-3.0, 0.0, 0.5]), "hinge")
        tensor([0.0000, 0.5000, 0.7500])
    """
    if kind == "bce":
        return torch.sigmoid(logits)
    if kind == "least-squares":
        return logits.clamp(0, 1)
    if kind == "hinge":
        return ((logits + 1) / 2).clamp(0, 1)
    _refuse(kind)


def _refuse(kind: object) -> NoReturn:
    raise ValueError(f"kind must be 'bce', 'least-squares' or 'hinge', not {kind!r}")
