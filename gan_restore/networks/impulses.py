"""Detection of salt-and-pepper pixels and a fast initial estimate for them, in batches on any device."""

import torch
import torch.nn.functional as F
from torch import Tensor


def impulse_mask(images: Tensor) -> Tensor:
    """Where pixels are pure black or pure white in all channels: N x 1 x H x W, bool.

    Every pixel that salt and pepper hit is found; a pixel that was black or white before is found too.
    """
    return (images == 0).all(1, keepdim=True) | (images == 1).all(1, keepdim=True)


def likely_impulses(images: Tensor, neighbours: int = 5) -> Tensor:
    """The pixels of `impulse_mask` that stand alone: N x 1 x H x W, bool.

    A pure pixel is taken for a black or white part of the photo, and left out, if at least `neighbours` of
    its 8 neighbours are of the same colour. With 3 % of either colour, chance does that to one in 800,000.
    """
    found = torch.zeros_like(images[:, :1], dtype=torch.bool)
    for colour in (0, 1):
        pure = (images == colour).all(1, keepdim=True)
        around = F.pad(pure.float(), (1, 1, 1, 1), mode="replicate")
        same = (F.avg_pool2d(around, 3, stride=1) * 9).round() - 1
        found |= pure & (same < neighbours)
    return found


@torch.no_grad()
def biharmonic_fill(images: Tensor, mask: Tensor, iterations: int = 8) -> Tensor:
    """Fill the pixels of `mask` as smoothly as the others allow: the least squared Laplacian over the image.

    The same problem as scikit-image's `inpaint_biharmonic`, solved for the whole batch by conjugate gradients.
    For the scattered holes of 6 % salt and pepper, 8 iterations score as the exact solution does, to 0.01 dB
    (200 faces of FER2013); holes many pixels wide would need more.

    Args:
        images: N x C x H x W in [0, 1].
        mask: N x 1 x H x W, bool; where images are to be filled.
    """
    holes = mask.to(images.dtype)
    known = F.avg_pool2d(F.pad(1 - holes, (1, 1, 1, 1)), 3, stride=1)
    nearby = F.avg_pool2d(F.pad(images * (1 - holes), (1, 1, 1, 1)), 3, stride=1) / known.clamp_min(1 / 9)
    filled = torch.where(mask, nearby, images)
    residual = -holes * _laplacian(_laplacian(filled))
    direction, power = residual, residual.square().sum((1, 2, 3), keepdim=True)
    for _ in range(iterations):
        image = holes * _laplacian(_laplacian(direction))
        step = power / (direction * image).sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        filled = filled + step * direction
        residual = residual - step * image
        before, power = power, residual.square().sum((1, 2, 3), keepdim=True)
        direction = residual + power / before.clamp_min(1e-12) * direction
    return filled.clamp(0, 1)


def _laplacian(images: Tensor) -> Tensor:
    around = F.pad(images, (1, 1, 1, 1), mode="replicate")
    sides = around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    return sides - 4 * images
