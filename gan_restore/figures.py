"""Matplotlib figures: images, comparisons with enlarged details and error maps, curves, charts.

Images are always shown with the same range, black 0 and white 1, so that brightness can be compared. Every function
returns a figure that pyplot does not hold, so a notebook shows it only where it is the value of a cell.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gan_restore.files import writing

Box = tuple[int, int, int]
"""Left, top and side of a square in pixels."""

COLOURS = {"input": "#9aa0a6", "classical": "#4c78a8", "learned": "#e4572e", "oracle": "#b8a9d9"}
"""Colour of each kind of method: gray for the input, blue for classical methods, orange for trained networks, pale
violet for oracles."""

_BOX_COLOUR = "#ffd400"  # yellow, seldom in photos


def save_figure(figure: Figure, path: str | Path) -> Figure:
    """Write a figure as an image file, whole or not at all, and return it.

    Photos take less space as .jpg than as .png.

    Raises:
        UserError: if the file cannot be written.
    """
    # JPEG without subsampling, which blurs colours.
    quality = {"quality": 90, "subsampling": 0} if Path(path).suffix == ".jpg" else {}
    with writing(path) as part:
        figure.savefig(part, dpi=110, bbox_inches="tight", facecolor="white", pil_kwargs=quality or None)
    return figure


def new_figure(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns panels.

    Args:
        rows, columns: number of panels.
        width, height: approximate size of a panel in inches.
        options: passed to `matplotlib.pyplot.subplots`.

    Returns:
        The figure and its axes, an array of rows x columns.

    Example:
        >>> figure, axes = new_figure(1, 2, 3, 3)
        >>> axes.shape
        (1, 2)
    """
    size = (columns * width, rows * height)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
    plt.close(figure)
    return figure, axes


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
    figure, axes = new_figure(-(-len(images) // columns), columns, size, size * 1.1)
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


def scores_chart(rows: Sequence[Mapping], title: str = "") -> Figure:
    """PSNR and SSIM of every method as bars, the highest PSNR at the top, coloured by kind.

    Args:
        rows: the table, as `evaluation.evaluate` returns it.
        title: the figure's title; by default the test images and their number.
    """
    rows = sorted(rows, key=lambda row: row["psnr"])
    figure, axes = new_figure(1, 2, 5, 0.42 * len(rows) + 1.4, sharey=True)
    for axis, key, label, form in zip(
        axes.flat, ("psnr", "ssim"), ("PSNR (dB)", "SSIM"), (".2f", ".4f"), strict=True
    ):
        bars = axis.barh(
            [row["method"] for row in rows],
            [row[key] for row in rows],
            color=[COLOURS[row["kind"]] for row in rows],
        )
        axis.bar_label(bars, [format(row[key], form) for row in rows], padding=3, fontsize=8)
        axis.set_xlabel(label)
        axis.margins(x=0.16)
        axis.spines[["top", "right"]].set_visible(False)
    kinds = [kind for kind in COLOURS if any(row["kind"] == kind for row in rows)]
    handles = [Rectangle((0, 0), 1, 1, color=COLOURS[kind]) for kind in kinds]
    axes[0, 0].legend(handles, kinds, fontsize=8, loc="lower right")
    figure.suptitle(title or f"{rows[0]['data']}, {rows[0]['n_images']} images", fontsize=12)
    return figure


def curves(rows: Sequence[Mapping[str, float]], title: str = "Training") -> Figure:
    """Curves of one training run: losses, the discriminator's probabilities, PSNR on validation.

    Args:
        rows: the rows of metrics.csv. Panels of a discriminator are left out if there was none.
        title: the figure's title.
    """
    panels: list[tuple[str, dict[str, str]]] = [("loss", {"pixel": "generator, pixel"})]
    if any("d_loss" in row for row in rows):
        panels += [
            ("adversarial loss", {"adversarial": "generator", "d_loss": "discriminator"}),
            ("discriminator's probability", {"d_real": "D(real)", "d_fake": "D(fake)"}),
        ]
    panels.append(("PSNR on validation (dB)", {"val_psnr": "generator"}))
    figure, axes = new_figure(1, len(panels), 3.6, 3)
    for axis, (label, lines) in zip(axes.flat, panels, strict=True):
        for key, name in lines.items():
            known = [row for row in rows if key in row]
            axis.plot(
                [row["step"] for row in known], [row[key] for row in known], label=name, marker=_marker(known)
            )
        axis.set_title(label, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0, 0].set_yscale("log")
    if len(panels) > 2:
        axes[0, 2].set_ylim(0, 1)
    figure.suptitle(title, fontsize=12)
    return figure


def compare_runs(runs: Mapping[str, Sequence[Mapping[str, float]]], title: str = "") -> Figure:
    """Curves of several training runs: pixel loss, D(real) - D(fake), PSNR on validation.

    Args:
        runs: name -> rows of metrics.csv.
        title: the figure's title.
    """
    panels = {
        "pixel loss": lambda row: row["pixel"],
        "D(real) - D(fake)": lambda row: row["d_real"] - row["d_fake"],
        "PSNR on validation (dB)": lambda row: row["val_psnr"],
    }
    needs = ("pixel", "d_real", "val_psnr")
    figure, axes = new_figure(1, 3, 4, 3.2)
    for axis, need, (label, value) in zip(axes.flat, needs, panels.items(), strict=True):
        for (name, rows), style in zip(runs.items(), itertools.cycle(("-", "--", "-.", ":")), strict=False):
            known = [row for row in rows if need in row]
            steps, values = [row["step"] for row in known], [value(row) for row in known]
            axis.plot(steps, values, style, label=name, marker=_marker(known))
        axis.set_title(label, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    axes[0, 0].set_yscale("log")
    axes[0, 1].set_ylim(-0.2, 1)
    axes[0, 2].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(title, fontsize=12)
    return figure


def perception_distortion_plane(
    points: Mapping[str, tuple[float, float]], kinds: Mapping[str, str], title: str = ""
) -> Figure:
    """The perception-distortion plane (Blau and Michaeli 2018). The best place is at the bottom right.

    Args:
        points: method -> (PSNR in dB, texture distance in 1/255), the latter as `texture_distance` measures it.
        kinds: method -> kind, which chooses the colour.
        title: the figure's title.
    """
    figure, axes = new_figure(1, 1, 6.5, 4.2)
    axis = axes[0, 0]
    for name, (across, up) in points.items():
        axis.scatter(across, up, color=COLOURS[kinds[name]], zorder=3)
    axis.margins(x=0.1, y=0.15)
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    # Names stand on the side with more space, and above each other where points are close.
    heights = {"left": bottom, "right": bottom}
    for name, (across, up) in sorted(points.items(), key=lambda point: point[1][1]):
        side = "left" if across < (left + right) / 2 else "right"
        heights[side] = max(up, heights[side] + 0.05 * (top - bottom))
        indent = {"left": 8, "right": -8}[side]
        axis.annotate(
            name, (across, heights[side]), (indent, 0), textcoords="offset points", fontsize=8, ha=side, va="center"
        )
    axis.set_xlabel("PSNR (dB): further right is closer")
    axis.set_ylabel("texture distance: lower looks more real")
    axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=12)
    return figure


def robustness_curves(
    sweep: Mapping[str, Sequence[float]], values: Sequence[float], setting: str, trained_on: float, title: str = ""
) -> Figure:
    """PSNR of several methods over one setting of the damage, such as `evaluation.robustness_sweep` measures it.

    Args:
        sweep: name of the method -> PSNR in dB, one for each of `values`.
        values: what the setting was set to.
        setting: its name.
        trained_on: its value in training, marked by a vertical line.
        title: the figure's title.
    """
    figure, axes = new_figure(1, 1, 6.5, 3.4)
    axis = axes[0, 0]
    for name, line in sweep.items():
        axis.plot(values, line, marker="o", label=name)
    axis.axvline(trained_on, color="gray", linestyle=":", label="trained on")
    axis.set_xlabel(setting)
    axis.set_ylabel("PSNR (dB)")
    axis.legend(fontsize=8)
    figure.suptitle(title or "Away from what it was trained on", fontsize=12)
    return figure


def _marker(points: Sequence) -> str | None:
    return "o" if len(points) < 15 else None


def histogram(images: Mapping[str, Tensor], title: str = "") -> Figure:
    """Histograms of the values of images, a panel each. Salt and pepper noise shows as spikes at 0 and 1.

    Args:
        images: title -> tensor of any shape with values in [0, 1].
        title: the figure's title.
    """
    figure, axes = new_figure(1, len(images), 3.6, 2.6, sharey=True)
    for axis, (name, image) in zip(axes.flat, images.items(), strict=True):
        axis.hist(image.flatten().cpu().numpy(), bins=64, range=(0, 1), color=COLOURS["classical"], density=True)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("brightness")
    figure.suptitle(title, fontsize=12)
    return figure


def heat_map(axis: Axes, values: Tensor, title: str = "", vmin: float = 0, vmax: float = 1) -> None:
    """Draw a map with a colour bar, such as a discriminator's probability for each patch.

    Args:
        axis: where to draw it.
        values: H x W.
        title: the panel's title.
        vmin, vmax: the values of the lowest and the highest colour.
    """
    shown = axis.imshow(values.detach().float().cpu().numpy(), vmin=vmin, vmax=vmax, cmap="viridis")
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()
    axis.figure.colorbar(shown, ax=axis, fraction=0.046)
