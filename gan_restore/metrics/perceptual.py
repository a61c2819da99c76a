"""What a trained network thinks of restored images: LPIPS, image by image, and FID, set against set.

Both compare with what people see better than PSNR does, and both need weights that others trained: they are
downloaded once into torch hub's cache, or put there by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights

from gan_restore.files import UserError
from gan_restore.images import to_bytes
from gan_restore.losses.weights import load_weights, weights_path

INCEPTION = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""FID's own Inception, converted from the TensorFlow weights of the paper; torchvision's gives other numbers."""


@dataclass(frozen=True)
class Measurement:
    """A value with what must be said beside it; as text, it says so."""

    name: str
    value: float
    n_images: int
    warning: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} ({self.n_images} images{self.warning and ', ' + self.warning})"


@torch.no_grad()
def lpips(restored: Sequence[Tensor], clean: Sequence[Tensor], device: torch.device | str = "cpu") -> Measurement:
    """Mean LPIPS with AlexNet (Zhang et al. 2018; torchmetrics): 0 for equal images, larger for unlike ones.

    A mean of one value an image, so a few images are enough. AlexNet's weights are torchvision's
    `alexnet-owt-7be5be79.pth`; without a network, put that file into `checkpoints` in `torch.hub.get_dir()`.

    Args:
        restored, clean: batches N x 3 x H x W in [0, 1] in the same order, at least 31 x 31; sizes may differ
            from batch to batch. Values beyond [0, 1] are cut off.

    Raises:
        ValueError: if the batches do not match or are too small.
        UserError: if the weights are missing and cannot be downloaded.
    """
    if [batch.shape for batch in restored] != [batch.shape for batch in clean] or not clean:
        raise ValueError("LPIPS needs batches of restored images and clean ones of the same sizes")
    if min(min(batch.shape[-2:]) for batch in clean) < 31:
        raise ValueError("LPIPS needs images of at least 31 x 31 pixels")
    # torchvision looks at the same place and would run code that the file holds; this refuses such a file.
    load_weights(AlexNet_Weights.IMAGENET1K_V1.url)
    metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)
    for pair in zip(restored, clean, strict=True):
        metric.update(*(batch.to(device).clamp(0, 1) for batch in pair))
    return Measurement("LPIPS (AlexNet)", metric.compute().item(), sum(map(len, clean)))


@torch.no_grad()
def fid(
    restored: Sequence[Tensor],
    clean: Sequence[Tensor],
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    features: nn.Module | None = None,
    *,
    force: bool = False,
) -> Measurement:
    """Frechet Inception distance between two sets of images (Heusel et al. 2017; torchmetrics): 0 for equal sets.

    Images are rounded to 8 bits and resized to 299 x 299 as the reference implementation does. Fewer images than
    features (2048) leave the covariance singular and the value far too large: refused unless forced.

    Args:
        restored, clean: batches N x 3 x H x W in [0, 1]; sizes may differ from batch to batch.
        weights: `weights-inception-2015-12-05-6726825d.pth`; without it, the file of that name in `checkpoints`
            in `torch.hub.get_dir()`, downloaded if it is not there.
        features: another network, uint8 N x 3 x H x W -> N x F, with the attribute `num_features`; the value is
            then no FID and not called so.
        force: measure fewer images than there are features; the result then carries a warning.

    Raises:
        UserError: if there are too few images, torch-fidelity is not installed, or the weights cannot be had.

    Example:
        >>> print(fid(restored, clean, force=True))
        FID 71.3 (68 images, forced: far too large below 2048 images)
    """
    least = 2048 if features is None else features.num_features
    count = min(sum(map(len, batches)) for batches in (restored, clean))
    if count < least and not force:
        raise UserError(f"FID of {count} images means nothing; use at least {least}, or force it and say so")
    metric = FrechetInceptionDistance(_inception(weights) if features is None else features).to(device)
    for batches, real in ((restored, False), (clean, True)):
        for batch in batches:
            metric.update(to_bytes(batch.to(device)), real=real)
    warning = f"forced: far too large below {least} images" if count < least else ""
    name = "FID" if features is None else "Frechet distance of own features"
    return Measurement(name, metric.compute().item(), count, warning)


def _inception(weights: str | Path | None) -> nn.Module:
    try:
        import torch_fidelity  # noqa: F401
    except ImportError:
        raise UserError("FID needs torch-fidelity; pip install 'gan-restore[fid]'") from None
    load_weights(INCEPTION, weights)  # torch-fidelity would run code that the file holds; this refuses such a file
    return FrechetInceptionDistance(feature_extractor_weights_path=str(weights_path(INCEPTION, weights))).inception
