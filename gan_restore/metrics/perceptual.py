"""Perceptual metrics, computed by trained networks: LPIPS and a like distance compare images, FID sets of images.

They agree with human judgements better than PSNR does. The weights of LPIPS and FID are downloaded once into torch
hub's cache, or put there by hand; those of EfficientNet-lite0 are a package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights

from gan_restore.files import UserError, install
from gan_restore.images import to_bytes
from gan_restore.losses.perceptual import EfficientNetDistance
from gan_restore.losses.weights import load_weights, weights_path

INCEPTION = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
"""The Inception network of FID, converted from the paper's TensorFlow weights. torchvision's gives other values."""


@dataclass(frozen=True)
class Measurement:
    """The value of a metric with the number of images and a warning; `str()` gives all of it.

    Attributes:
        name: the metric.
        value: its value.
        n_images: how many restored images were measured.
        warning: what limits the value, or empty.

    Example:
        >>> print(Measurement("LPIPS (AlexNet)", 0.12345, 68))
        LPIPS (AlexNet) 0.1235 (68 images)
    """

    name: str
    value: float
    n_images: int
    warning: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} ({self.n_images} images{self.warning and ', ' + self.warning})"


@torch.no_grad()
def lpips(restored: Sequence[Tensor], clean: Sequence[Tensor], device: torch.device | str = "cpu") -> Measurement:
    """Learned perceptual image patch similarity with AlexNet (Zhang et al. 2018; torchmetrics), mean over images.

    0 for equal images; higher for images that look less alike. AlexNet's weights are torchvision's
    `alexnet-owt-7be5be79.pth`. On a machine without internet, put that file into `checkpoints` in
    `torch.hub.get_dir()`.

    Args:
        restored, clean: batches N x 3 x H x W in [0, 1] in the same order, at least 31 x 31 pixels. Sizes may
            differ from batch to batch. Values outside [0, 1] are clamped.
        device: where the network computes.

    Raises:
        ValueError: if the batches differ in shape, are too small, or there are none.
        UserError: if the weights are missing and cannot be downloaded.

    Example:
        >>> print(lpips([restored], [clean]))  # doctest: +SKIP
        LPIPS (AlexNet) 0.1235 (68 images)
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
def efficientnet_distance(
    restored: Sequence[Tensor], clean: Sequence[Tensor], device: torch.device | str = "cpu"
) -> Measurement:
    """Perceptual distance on features of EfficientNet-lite0 (see `losses.EfficientNetDistance`), mean over images.

    0 for equal images; higher for images that look less alike. At the same mean squared error, changes that people
    hardly see (of brightness, of contrast, a shift by one pixel) give less than half the distance of noise, blur
    and JPEG, and blur gives less than JPEG. It was not fitted to human judgements. A network that was trained with
    this distance as its loss scores well for that reason alone.

    Args:
        restored, clean: batches N x 3 x H x W in [0, 1] in the same order. Sizes may differ from batch to batch.
            Values outside [0, 1] are clamped.
        device: where the network computes.

    Raises:
        ValueError: if the batches differ in shape or there are none.
        UserError: if the weights are not installed.

    Example:
        >>> print(efficientnet_distance([restored], [clean]))  # doctest: +SKIP
        EfficientNet-lite0 distance 0.2571 (68 images)
    """
    if [batch.shape for batch in restored] != [batch.shape for batch in clean] or not clean:
        raise ValueError("the distance needs batches of restored images and clean ones of the same sizes")
    distance = EfficientNetDistance().to(device)
    pairs = zip(restored, clean, strict=True)
    values = torch.cat([distance.per_image(*(batch.to(device).clamp(0, 1) for batch in pair)) for pair in pairs])
    return Measurement("EfficientNet-lite0 distance", values.mean().item(), len(values))


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
    """Frechet Inception distance between two sets of images (Heusel et al. 2017; torchmetrics).

    Gaussians with means m and covariances S are fitted to the Inception features of both sets::

        FID = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

    0 for equal sets. Images are rounded to 8 bits and resized to 299 x 299 as in the reference implementation. With
    fewer images than features (2048) the covariance is singular and the value far too high, so this is refused
    unless forced.

    Args:
        restored, clean: batches N x 3 x H x W in [0, 1]. Sizes may differ from batch to batch.
        weights: path of `weights-inception-2015-12-05-6726825d.pth`. By default the file of that name in
            `checkpoints` in `torch.hub.get_dir()`, downloaded if it is not there.
        device: where the network computes.
        features: another network, uint8 N x 3 x H x W -> N x F, with the attribute `num_features`. The value is
            then no FID and is not called FID.
        force: also measure fewer images than there are features. The result then has a warning.

    Raises:
        UserError: if there are too few images, torch-fidelity is not installed, or the weights are missing and
            cannot be downloaded.

    Example:
        >>> print(fid([restored], [clean], force=True))  # doctest: +SKIP
        FID 71.3 (68 images, forced: far too large below 2048 images)
    """
    least = 2048 if features is None else int(getattr(features, "num_features"))  # noqa: B009
    count = min(sum(map(len, batches)) for batches in (restored, clean))
    if count < least and not force:
        raise UserError(f"FID of {count} images is far too high; use at least {least}, or pass force=True")
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
        raise UserError(f"FID needs torch-fidelity; {install('fid')}") from None
    load_weights(INCEPTION, weights)  # refuses a file that holds code, which torch-fidelity would run
    return FrechetInceptionDistance(feature_extractor_weights_path=str(weights_path(INCEPTION, weights))).inception
