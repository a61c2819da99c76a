"""Detection of salt-and-pepper pixels and a fast initial estimate for them, in batches on any device."""

import torch
import torch.nn.functional as F
from torch import Tensor


def impulse_mask(images: Tensor) -> Tensor:
    """Find pixels that are pure black or pure white in all channels: N x 3 x H x W -> N x 1 x H x W, bool.

    The mask holds every pixel that salt-and-pepper noise replaced, and also the photo's own pure pixels.
    """
    return (images == 0).all(1, keepdim=True) | (images == 1).all(1, keepdim=True)


def likely_impulses(images: Tensor, neighbours: int = 5) -> Tensor:
    """Find the pixels of `impulse_mask` that do not belong to a black or white area: N x 1 x H x W, bool.

    A pure pixel belongs to an area of the photo if at least `neighbours` of its 8 neighbours have the same colour.
    With 3 % of the pixels black by noise, 5 black neighbours come about by chance once in 800,000 black pixels.

    Args:
        images: N x 3 x H x W in [0, 1].
        neighbours: of the same colour that make a pixel part of an area.
    """
    found = torch.zeros_like(images[:, :1], dtype=torch.bool)
    for colour in (0, 1):
        pure = (images == colour).all(1, keepdim=True)
        same = _sum_3x3(F.pad(pure.float(), (1, 1, 1, 1), mode="replicate")) - 1
        found |= pure & (same < neighbours)
    return found


@torch.no_grad()
def biharmonic_fill(images: Tensor, mask: Tensor, iterations: int = 8) -> Tensor:
    """Biharmonic inpainting: fill masked pixels so that the sum of squared Laplacians of the image is smallest.

    It solves the problem of scikit-image's `inpaint_biharmonic` (Damelin and Hoang 2018) for a whole batch at once
    by conjugate gradients. For 6 % salt-and-pepper noise, 8 iterations reach the PSNR of the exact solution within
    0.01 dB (200 faces of FER2013). Holes of many pixels need more iterations.

    Args:
        images: N x C x H x W in [0, 1].
        mask: pixels to fill, N x 1 x H x W, bool.
        iterations: of conjugate gradients.

    Returns:
        Images of the same shape, with the pixels outside the mask as they were.

    Example:
        >>> images = torch.linspace(0, 1, 9).expand(1, 3, 9, 9)  # a ramp
        >>> holes = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
        >>> holes[..., 4, 4] = True
        >>> biharmonic_fill(images.masked_fill(holes, 0), holes)[0, 0, 4, 3:6]
        tensor([0.3750, 0.5000, 0.6250])
    """
    holes = mask.to(images.dtype)
    count = _sum_3x3(F.pad(1 - holes, (1, 1, 1, 1)))
    nearby = _sum_3x3(F.pad(images * (1 - holes), (1, 1, 1, 1))) / count.clamp_min(1)
    filled = torch.where(mask, nearby, images)
    residual = -holes * _laplacian(_laplacian(filled))
    direction, power = residual, residual.square().sum((1, 2, 3), keepdim=True)
    for _ in range(iterations):
        mapped = holes * _laplacian(_laplacian(direction))
        step = power / (direction * mapped).sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        filled = filled + step * direction
        residual = residual - step * mapped
        before, power = power, residual.square().sum((1, 2, 3), keepdim=True)
        direction = residual + power / before.clamp_min(1e-12) * direction
    return filled.clamp(0, 1)


def _sum_3x3(values: Tensor) -> Tensor:
    """The sums over 3 x 3 pixels: N x C x H x W -> N x C x H - 2 x W - 2. On the CPU, avg_pool2d takes longer."""
    rows = values[..., :-2, :] + values[..., 1:-1, :] + values[..., 2:, :]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


def _laplacian(images: Tensor) -> Tensor:
    """The sum of the four neighbours minus four times the pixel, of the same shape; the border is repeated."""
    around = F.pad(images, (1, 1, 1, 1), mode="replicate")
    sides = around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    return sides - 4 * images
