"""Perceptual losses: that of SRGAN, on features of VGG19, and a distance on features of EfficientNet-lite0."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg19

from gan_restore.files import UserError
from gan_restore.losses.weights import efficientnet_weights, load_weights, weights_path
from gan_restore.networks.efficientnet import EfficientNetLite0Features

Perceptual = Literal["vgg19", "efficientnet-lite0"]
"""The network of the perceptual loss: see `PerceptualLoss` and `EfficientNetDistance`."""

FeatureLoss = Callable[[Tensor, Tensor], Tensor]
"""(restored, clean) -> a scalar loss, such as `PerceptualLoss`."""


class PerceptualLoss(nn.Module):
    """Content loss of SRGAN: the distance between two images in the feature space of VGG19.

    With phi the features of VGG19 (Simonyan and Zisserman 2015), trained on ImageNet, after the activation of the
    fourth convolution before the fifth pooling, it is::

        0.006 mean((phi(restored) - phi(clean))^2)

    (Ledig et al. 2017, equation 5 with phi_5,4). The paper divides the features by 12.75; 0.006 is 1 / 12.75^2,
    rounded as there. VGG19 is frozen, and images in [0, 1] are normalised for it here.

    Args:
        weights: torchvision's `vgg19-dcbb9e9d.pth`. Without it, the file of that name in `checkpoints` in
            `torch.hub.get_dir()` is used, and downloaded (548 MB) if it is not there.

    Raises:
        UserError: if the weights are missing and cannot be downloaded, or are not VGG19's.

    Example:
        >>> loss = PerceptualLoss()  # doctest: +SKIP
        >>> loss(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).shape  # doctest: +SKIP
        torch.Size([])
    """

    SCALE = 0.006
    LAYERS = 36  # up to and including the activation of conv5_4

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        url = VGG19_Weights.IMAGENET1K_V1.url
        with torch.device("meta"):  # saves the time of an initialisation that is overwritten
            self.features = vgg19().features[: self.LAYERS]
        found = {name.removeprefix("features."): tensor for name, tensor in load_weights(url, weights).items()}
        try:
            needed = {name: found[name].float() for name in self.features.state_dict()}
            self.features.load_state_dict(needed, assign=True)
        except (KeyError, RuntimeError):
            path = weights_path(url, weights)
            raise UserError(f"{path} does not hold the weights of VGG19; fetch {url}") from None
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """The loss of a batch, a scalar tensor.

        Args:
            restored, clean: N x 3 x H x W in [0, 1], at least 16 x 16. The gradient reaches `restored` only.
        """
        with torch.no_grad():
            target = self._features(clean)
        return self.SCALE * F.mse_loss(self._features(restored), target)

    def _features(self, images: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> N x 512 x H/16 x W/16, rounded down."""
        return self.features((images - self.mean) / self.std)


class EfficientNetDistance(nn.Module):
    """How differently two images look to EfficientNet-lite0, a small classifier trained on ImageNet.

    With phi_l(x, p) the features of image x at place p of layer l, scaled to length 1, it is::

        mean_l mean_p |phi_l(restored, p) - phi_l(clean, p)|^2

    over four layers (see `EfficientNetLite0Features.RETURNED`): 0 for equal images, at most 4. This is the form of
    LPIPS (Zhang et al. 2018, equation 1), with another network and without weights learned from human judgements,
    so its values compare with each other only. The network is frozen.

    Raises:
        UserError: if the package of the weights is not installed.

    Example:
        >>> distance = EfficientNetDistance()  # doctest: +SKIP
        >>> distance(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).shape  # doctest: +SKIP
        torch.Size([])
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = EfficientNetLite0Features()
        # The file names its tensors otherwise, but lists them in the same order, the layers not needed here last.
        names, weights = list(self.features.state_dict()), list(efficientnet_weights().values())
        self.features.load_state_dict(dict(zip(names, weights, strict=False)))
        self.requires_grad_(False).eval()

    def forward(self, restored: Tensor, clean: Tensor) -> Tensor:
        """The mean distance of a batch, a scalar tensor, for use as a loss; arguments as in `per_image`.

        Up to 3 rows and columns are left out at random. The network's strided convolutions give some pixels of
        every 4 x 4 twice the gradient of others, and always the same ones would become a grid in restored images.
        """
        top, left = torch.randint(4, (2,)).tolist()
        return self.per_image(restored[..., top:, left:], clean[..., top:, left:]).mean()

    def per_image(self, restored: Tensor, clean: Tensor) -> Tensor:
        """The distances of the images of a batch.

        Args:
            restored, clean: N x 3 x H x W in [0, 1]. The gradient reaches `restored` only.

        Returns:
            N values.
        """
        with torch.no_grad():
            targets = self.features(clean)
        pairs = zip(self.features(restored), targets, strict=True)
        layers = [(F.normalize(a) - F.normalize(b)).square().sum(1).mean((1, 2)) for a, b in pairs]
        return torch.stack(layers).mean(0)
