"""Which models a photo needs, by measurements of the photo."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.images import to_unit
from gan_restore.inference.models import model_names
from gan_restore.inference.restorer import Restorer, load_restorer
from gan_restore.inference.tones import tone_of
from gan_restore.networks.impulses import likely_impulses
from gan_restore.photos import Photo
from gan_restore.strips import row_strips

# On about 70 undamaged photos of four test sets, at most 0.0001 of the pixels were lone, also with Gaussian noise
# of 15 / 255 added.
_IMPULSES = 1e-3  # share of lone black and white pixels from which on they are called noise
_FAR = 0.2  # from the median around a pixel, for it to be lone
# The scratches model changed at most 0.0108 of the pixels of 115 undamaged photos in colour, and 0.0134 of 330 gray
# ones: without colour it is harder to tell details from damage. A photo that is wrongly called scratched loses
# details, so the limits are above these shares, although more is missed (docs/restoring.md).
_SCRATCHED = 0.0125  # share of pixels that the scratches model changes from which on a photo is called scratched
_SCRATCHED_TONED = 0.016  # the same for gray and toned photos
_SOME_SCRATCHED = 0.0025  # share from which on it cannot be said
_LEAST = 16  # side in pixels from which on scratches are looked for
_CHANGED = 16 / 255  # change of a pixel that counts
_NOISY = 2 / 255  # 254 of 261 undamaged photos of five test and training sets were below
_GRAINY = 4 / 255  # noise from which on it is removed; of the same 261, one had more
_LARGEST = 3.2e6  # pixels of an enlarged photo
_SIDE = 512  # the longer side of the copy in which scratches are looked for
_BLOCK = 8  # side of the areas in which noise is measured
_CLIPPED = 16 / 255  # mean distance of an area from black or white below which its noise is cut off


@dataclass(frozen=True)
class Advice:
    """Whether to apply a model to a photo.

    Attributes:
        model: the name of the model.
        use: whether the photo needs it.
        reason: what was measured.
    """

    model: str
    use: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.model}{'' if self.use else ' not used'}: {self.reason}"


@torch.no_grad()
def advise(
    photo: Photo, load: Callable[[str], Restorer] = load_restorer, *, same_size: bool = False
) -> list[Advice]:
    """Measure which damage a photo has, and choose models for it.

    Four measurements decide. Lone black and white pixels are those far from the median around them. Scratches
    are what the model `scratches` changes in a copy of at most 512 pixels a side; the limit is higher for gray and
    toned photos, whose details are more often taken for scratches. Noise is the standard deviation of the finest
    details in the smoothest hundredth of the photo, apart from areas that are nearly black or white if the photo
    has enough others; strong JPEG compression hides it. A small photo is enlarged unless it stays noisy, because
    noise would be enlarged, too.

    Args:
        photo: the photo.
        load: name of a model -> restorer; give one that keeps them if there are many photos.
        same_size: choose only models that keep the size, as a mask and preserved pixels need.

    Returns:
        Advice on each model that was considered, in the order in which to apply them.

    Raises:
        UserError: if `load` cannot load a model.
    """
    copy, impulses, noise = _examined(photo.pixels)
    names = model_names()
    looked = "scratches" in names and min(copy.shape[-2:]) >= _LEAST
    scratched = _changed(load("scratches"), copy) if looked else 0.0
    stays = 0.0 if "photo" in names and noise > _GRAINY else noise
    advice = [
        Advice("salt-pepper", impulses > _IMPULSES, f"{impulses:.2%} of the pixels are lone black or white ones"),
        _repair(scratched, toned=tone_of(copy) is not None),
        Advice("photo", noise > _GRAINY, f"noise of about {255 * noise:.1f} of 255"),
        _enlargement(photo.pixels, stays, names, same_size),
    ]
    return [choice for choice in advice if choice.model in names]


def _changed(restorer: Restorer, image: Tensor) -> float:
    changed = (restorer.restore(image) - image).abs().amax(1) > _CHANGED
    return float(changed.float().mean())


def _repair(scratched: float, toned: bool) -> Advice:
    use, doubt = scratched > (_SCRATCHED_TONED if toned else _SCRATCHED), ""
    if scratched > _SOME_SCRATCHED:
        look = "if they are details of the photo, choose the models yourself" if use else "look at them yourself"
        doubt = f"; {look}"
    return Advice("scratches", use, f"{scratched:.2%} of the pixels look scratched{doubt}")


def _enlargement(pixels: Tensor, noise: float, names: list[str], same_size: bool) -> Advice:
    height, width = pixels.shape[-2:]
    size = f"{width} x {height} pixels"
    model = "x4" if "x4" in names and 4**2 * height * width <= _LARGEST else "x2"
    if 2**2 * height * width > _LARGEST:
        return Advice(model, False, f"{size} are enough")
    if same_size:
        return Advice(model, False, "a mask or preserved pixels need a result of the same size")
    if noise > _NOISY:
        return Advice(model, False, f"noise of about {255 * noise:.1f} of 255 would be enlarged, too")
    return Advice(model, True, f"{size} are few")


def _examined(pixels: Tensor) -> tuple[Tensor, float, float]:
    """Look at a photo a few rows at a time: 1 x C x H x W, float32 in [0, 1], uint8 or uint16.

    Returns:
        A smaller copy without lone pixels, 1 x 3 x h x w in [0, 1]; the share of lone black and white pixels; the
        standard deviation of the noise on the scale from 0 to 1.
    """
    height, width = pixels.shape[-2:]
    by = math.ceil(max(height, width) / _SIDE)
    copy = torch.empty(1, 3, math.ceil(height / by), math.ceil(width / by))
    noises: list[float] = []
    gray: list[bool] = []
    lone = 0
    for rows in row_strips(height, width, by):
        part, found = _without_lone_pixels(to_unit(pixels[..., rows, :]).expand(-1, 3, -1, -1))
        lone += found
        copy[..., rows.start // by : math.ceil(rows.stop / by), :] = F.avg_pool2d(part, by, ceil_mode=True)
        found_noise, is_gray = _deviations(part)
        noises += found_noise.tolist()
        gray += is_gray.tolist()
    if 2 * sum(gray) < len(gray):  # such as a page of text, where only the letters would be left
        gray = [True] * len(gray)
    seen = sorted(noise for noise, use in zip(noises, gray, strict=True) if noise and use)
    return copy, lone / (height * width), seen[len(seen) // 100] if seen else 0.0


def _without_lone_pixels(images: Tensor) -> tuple[Tensor, int]:
    """Black and white pixels far from the median around them replaced by it, 1 x 3 x H x W, and their number."""
    rows, columns = likely_impulses(images)[0, 0].nonzero(as_tuple=True)
    padded = F.pad(images, [1] * 4, mode="replicate")[0]
    around = torch.stack([padded[:, rows + y, columns + x] for y in range(3) for x in range(3)])
    median = around.median(0).values
    far = (images[0, :, rows, columns] - median).abs().mean(0) > _FAR
    replaced = images.clone()
    replaced[0, :, rows[far], columns[far]] = median[:, far]
    return replaced, int(far.sum())


def _deviations(images: Tensor) -> tuple[Tensor, Tensor]:
    """The standard deviation of diagonal details, which is that of white noise, in areas of 8 x 8 pixels.

    Also whether each area is gray enough: in one of which a quarter is nearly black or white, noise is cut off.
    """
    if min(images.shape[-2:]) <= _BLOCK:
        return images.new_zeros(0), images.new_zeros(0, dtype=torch.bool)
    above, below = images[..., :-1, :], images[..., 1:, :]
    details = (above[..., :-1] - above[..., 1:] - below[..., :-1] + below[..., 1:]) / 2
    deviations = F.avg_pool2d(details.square().mean(1, keepdim=True), _BLOCK).sqrt()
    from_gray = (F.avg_pool2d(images[..., :-1, :-1].mean(1, keepdim=True), _BLOCK // 2) - 0.5).abs()
    return deviations.flatten(), (F.max_pool2d(from_gray, 2) < 0.5 - _CLIPPED).flatten()
