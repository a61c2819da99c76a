"""Adversarial losses of the discriminator and of the generator."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Adversarial = Literal["bce", "least-squares", "hinge"]


def discriminator_loss(real: Tensor, fake: Tensor, kind: Adversarial = "bce", real_label: float = 1.0) -> Tensor:
    """How badly the discriminator tells `real` logits (clean images) from `fake` ones (restored images).

    "bce" is binary cross-entropy (Goodfellow et al. 2014), "least-squares" Mao et al. 2017, "hinge" Lim and Ye
    2017. The mean of both halves, so that the value does not depend on the split into two. A `real_label` below 1
    (Salimans et al. 2016, one-sided label smoothing) keeps the discriminator from being too sure; "hinge", which
    asks for no more than a margin, does without.
    """
    if kind == "bce":
        labels = torch.full_like(real, real_label)
        return (F.binary_cross_entropy_with_logits(real, labels) + F.softplus(fake).mean()) / 2
    if kind == "least-squares":
        return ((real - real_label).square().mean() + fake.square().mean()) / 2
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def generator_loss(fake: Tensor, kind: Adversarial = "bce") -> Tensor:
    """How badly the generator fools the discriminator, from the logits of its restored images.

    For "bce" the non-saturating form: it still has a gradient where the discriminator is sure.
    """
    if kind == "bce":
        return F.softplus(-fake).mean()
    if kind == "least-squares":
        return (fake - 1).square().mean()
    return -fake.mean()


def probability(logits: Tensor, kind: Adversarial = "bce") -> Tensor:
    """The discriminator's belief that images are real, in [0, 1]: what D(real) and D(fake) show.

    Least-squares and hinge discriminators give no probability; their targets (0 and 1, -1 and 1) are mapped
    to 0 and 1 and what lies beyond is cut off.
    """
    if kind == "bce":
        return torch.sigmoid(logits)
    return (logits if kind == "least-squares" else (logits + 1) / 2).clamp(0, 1)
