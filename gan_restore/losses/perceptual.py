"""The perceptual loss of SRGAN, on features of VGG19."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg19

from gan_restore.files import UserError
from gan_restore.losses.weights import read_weights, weights_file


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
