"""Images side by side, with enlarged details and error maps; always black 0 and white 1."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gan_restore.figures.base import new_figure

Box = tuple[int, int, int]
"""Left, top and side of a square in pixels."""

_BOX_COLOUR = "#ffd400"  # yellow, seldom in photos


def as_array(image: Tensor) -> np.ndarray:
    """3 x H x W or 1 x 3 x H x W -> an array H x W x 3 for matplotlib, clamped to [0, 1]."""
    image = image[0] if image.ndim == 4 else image
    return image.detach().float().clamp(0, 1).cpu().permute(1, 2, 0).numpy()


def show_images(images: Mapping[str, Tensor], title: str = "", columns: int = 0, size: float = 2.6) -> Figure:
    """Images side by side.

    Args:
        images: title -> image, 3 x H x W or 1 x 3 x H x W in [0, 1].
        title: the figure's title.
        columns: images in a row; by default up to 5.
        size: width of an image in inches.

    Example:
        >>> import torch
        >>> figure = show_images({"black": torch.zeros(3, 8, 8), "white": torch.ones(3, 8, 8)}, "Two images")
    """
    columns = columns or min(len(images), 5)
    tallest = max(image.shape[-2] / image.shape[-1] for image in images.values())
    figure, axes = new_figure(-(-len(images) // columns), columns, size, size * tallest + 0.26)  # the titles
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, images.items(), strict=False):
        axis.imshow(as_array(image), vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(name, fontsize=9)
    figure.suptitle(title, fontsize=12)
    return figure


def image_rows(rows: Sequence[tuple[str, Mapping[str, Tensor]]], title: str = "", size: float = 2.2) -> Figure:
    """Images in rows with a label each, such as before, after and clean for several models.

    Args:
        rows: label, and title -> image, 3 x H x W or 1 x 3 x H x W in [0, 1]; the same number of images in each.
        title: the figure's title.
        size: width of an image in inches.

    Example:
        >>> import torch
        >>> figure = image_rows([("first", {"before": torch.zeros(3, 8, 8), "after": torch.ones(3, 8, 8)})])
    """
    figure, axes = new_figure(len(rows), len(rows[0][1]), size, size * 1.12)
    for line, (label, images) in zip(axes, rows, strict=True):
        for axis, (name, image) in zip(line, images.items(), strict=True):
            axis.imshow(as_array(image), vmin=0, vmax=1)
            axis.set_title(name, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(label, fontsize=9)
    figure.suptitle(title, fontsize=12)
    return figure


def busiest_box(clean: Tensor, side: int) -> Box:
    """The square with the most detail, by the sum of absolute differences of neighbouring pixels.

    The outer fifth of the possible positions is left out at each side.

    Args:
        clean: 3 x H x W or 1 x 3 x H x W in [0, 1].
        side: side of the square in pixels, at most H and W.
    """
    gray = as_array(clean).mean(2)
    side = min(side, *gray.shape)
    detail = np.abs(np.diff(gray, axis=0, append=gray[-1:])) + np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
    sums = np.pad(detail, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    margin = [extent // 5 for extent in inside.shape]
    middle = inside[margin[0] : inside.shape[0] - margin[0], margin[1] : inside.shape[1] - margin[1]]
    top, left = np.unravel_index(middle.argmax(), middle.shape)
    return int(left + margin[1]), int(top + margin[0]), side


def compare(
    images: Mapping[str, Tensor],
    clean: Tensor,
    title: str = "",
    scores: Mapping[str, str] | None = None,
    zoom: Box | None = None,
    amplify: int = 10,
) -> Figure:
    """Several methods on one image, a column each: the whole image, an enlarged detail, the error map.

    Args:
        images: method -> restored image, 1 x 3 x H x W in [0, 1]. The clean image is added as the last column.
        clean: 1 x 3 x H x W in [0, 1].
        title: the figure's title.
        scores: method -> text under its name, such as "31.2 dB".
        zoom: the square to enlarge; by default the one with the most detail.
        amplify: error maps show the absolute error, mean over channels, times this factor; 1 and above is white.
    """
    columns = {**images, "clean": clean}
    left, top, side = zoom or busiest_box(clean, max(24, min(clean.shape[-2:]) // 4))
    ratio = clean.shape[-2] / clean.shape[-1]
    height = (2.3 * (1 + 2 * ratio) + 1) / 3
    figure, axes = new_figure(3, len(columns), 2.3, height, height_ratios=[ratio, 1, ratio])
    target = as_array(clean)
    for (whole, detail, error), (name, image) in zip(axes.T, columns.items(), strict=True):
        array = as_array(image)
        whole.imshow(array, vmin=0, vmax=1)
        whole.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=_BOX_COLOUR, linewidth=1.5))
        whole.set_title(f"{name}\n{(scores or {}).get(name, '')}", fontsize=9)
        detail.imshow(array[top : top + side, left : left + side], vmin=0, vmax=1, interpolation="nearest")
        error.imshow(np.abs(array - target).mean(2) * amplify, vmin=0, vmax=1, cmap="magma")
        for axis in (whole, detail, error):
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, label in zip(axes[:, 0], ("whole image", "detail", f"error x {amplify}"), strict=True):
        axis.set_ylabel(label, fontsize=9)
    figure.suptitle(title, fontsize=12)
    return figure
