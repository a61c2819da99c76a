"""What the two players are told: how real an image looks, and how far it is from the clean one."""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg19

from gan_restore.files import UserError
from gan_restore.weights import read_weights, weights_file

Adversarial = Literal["bce", "least-squares", "hinge"]
Pixel = Literal["mse", "l1"]


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


def pixel_loss(restored: Tensor, clean: Tensor, kind: Pixel = "mse") -> Tensor:
    """Mean squared ("mse") or mean absolute ("l1") difference over all values."""
    return F.mse_loss(restored, clean) if kind == "mse" else F.l1_loss(restored, clean)


class PerceptualLoss(nn.Module):
    """How differently VGG19 sees two images: SRGAN's content loss (Ledig et al. 2017, equation 5, phi_5,4).

    The mean squared difference of VGG19's features after the activation of the fourth convolution before the
    fifth pooling, times 0.006, which is the paper's rescaling of the features by 1 / 12.75. The network is
    frozen; it sees images in [0, 1], N x 3 x H x W, at least 16 x 16, and normalises them as ImageNet's itself.

    Args:
        weights: torchvision's `vgg19-dcbb9e9d.pth`; without it, the file of that name in `checkpoints` in
            `torch.hub.get_dir()`, downloaded (548 MB) if it is not there.

    Raises:
        UserError: if the weights are missing and cannot be downloaded, or are not VGG19's.

    Example:
        >>> PerceptualLoss()(restored, clean).backward()
    """

    SCALE = 0.006
    LAYERS = 36  # up to and with the activation of conv5_4

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        path = weights_file(VGG19_Weights.IMAGENET1K_V1.url, weights)
        with torch.device("meta"):  # no time for a random start that is overwritten
            self.features = vgg19().features[: self.LAYERS]
        found = {name.removeprefix("features."): tensor for name, tensor in read_weights(path).items()}
        try:
            wanted = {name: found[name].float() for name in self.features.state_dict()}
            self.features.load_state_dict(wanted, assign=True)
        except (KeyError, RuntimeError):
            url = VGG19_Weights.IMAGENET1K_V1.url
            raise UserError(f"{path} does not hold the weights of VGG19; fetch {url}") from None
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """The loss of a batch, one value."""
        with torch.no_grad():
            wanted = self._see(clean)
        return self.SCALE * F.mse_loss(self._see(restored), wanted)

    def _see(self, images: Tensor) -> Tensor:
        """N x 512 x H/16 x W/16."""
        return self.features((images - self.mean) / self.std)
