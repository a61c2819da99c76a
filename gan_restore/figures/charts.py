"""Curves, bars, points and maps of numbers."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation
from torch import Tensor

from gan_restore.evaluation import TITLES, Row, paired_gain
from gan_restore.figures.base import new_figure

COLOURS = {
    "input": "#9aa0a6", "classical": "#4c78a8", "start": "#f2b28c", "learned": "#e4572e", "oracle": "#b8a9d9",
}  # fmt: skip
"""Colour of each kind of method: gray for the input, blue for classical methods, pale orange for a network before
its training, orange for trained networks, pale violet for oracles."""


def scores_chart(rows: Sequence[Mapping], title: str = "") -> Figure:
    """PSNR and SSIM of every method as bars, the highest PSNR at the top, coloured by kind.

    The bar is the mean over the images. A line from the lowest to the highest image shows their spread.

    Args:
        rows: the table, as `evaluation.evaluate` returns it.
        title: the figure's title; by default the test images and their number.
    """
    rows = sorted(rows, key=lambda row: row["psnr"])
    figure, axes = new_figure(1, 2, 5, 0.42 * len(rows) + 1.6, sharey=True)
    for axis, key, label, form in zip(
        axes.flat, ("psnr", "ssim"), ("PSNR (dB)", "SSIM"), (".2f", ".4f"), strict=True
    ):
        bars = axis.barh(
            [row["method"] for row in rows],
            [row[key] for row in rows],
            color=[COLOURS[row["kind"]] for row in rows],
        )
        axis.bar_label(bars, [format(row[key], form) for row in rows], label_type="center", fontsize=8)
        for height, row in enumerate(rows):
            values = row["per_image"][key]
            axis.plot([min(values), max(values)], [height, height], color="black", linewidth=1, marker="|")
        axis.set_xlabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    kinds = [kind for kind in TITLES if any(row["kind"] == kind for row in rows)]
    handles = [Rectangle((0, 0), 1, 1, color=COLOURS[kind]) for kind in kinds]
    figure.legend(
        handles, [TITLES[kind] for kind in kinds], fontsize=8, loc="outside lower center", ncols=len(kinds)
    )
    figure.suptitle(title or f"{rows[0]['data']}, {rows[0]['n_images']} images", fontsize=12)
    return figure


def paired_gains(row: Row, others: Sequence[Row], title: str = "") -> Figure:
    """PSNR of one method minus that of others on the same images, a line each: every image, mean and 95 % interval.

    Args:
        row, others: rows of one table.
        title: the figure's title.
    """
    figure, axes = new_figure(1, 1, 7, 0.45 * len(others) + 1.6)
    axis = axes[0, 0]
    for height, other in enumerate(others):
        gains = np.subtract(row["per_image"]["psnr"], other["per_image"]["psnr"])
        mean, low, high = paired_gain(row, other)
        if np.isfinite(low):  # not with a single image
            axis.plot([low, high], [height, height], color=COLOURS[other["kind"]], linewidth=3, alpha=0.5)
        axis.plot(gains, [height] * len(gains), "o", color="black", markersize=3, alpha=0.5)
        axis.plot(mean, height, "o", color=COLOURS[other["kind"]], markersize=9)
    axis.axvline(0, color="gray", linewidth=1)
    axis.set_yticks(range(len(others)), [other["method"] for other in others])
    axis.set_ylim(len(others) - 0.5, -0.5)
    axis.set_xlabel("difference in dB: right of 0 is closer")
    axis.grid(axis="x", alpha=0.3)
    figure.suptitle(title or f"PSNR of {row['method']} minus that of ...", fontsize=12)
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
    figure, axes = new_figure(1, 1, 7.5, 4.2)
    axis = axes[0, 0]
    for name, (across, up) in points.items():
        axis.scatter(across, up, color=COLOURS[kinds[name]], zorder=3)
    axis.margins(x=0.6, y=0.15)
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    # Names of points on the left stand left of them, and others right of them, so that the two never meet. Where
    # points are close, their names stand above each other, with a line to their points.
    heights = {"left": bottom, "right": bottom}
    for name, (across, up) in sorted(points.items(), key=lambda point: point[1][1]):
        side = "left" if across < (left + right) / 2 else "right"
        heights[side] = max(up, heights[side] + 0.05 * (top - bottom))
        indent = {"left": -8, "right": 8}[side]
        axis.annotate(
            name,
            (across, up),
            (across, heights[side]),
            textcoords=axis.transData + ScaledTranslation(indent / 72, 0, figure.dpi_scale_trans),
            arrowprops={"arrowstyle": "-", "color": "gray", "linewidth": 0.6},
            fontsize=8,
            ha={"left": "right", "right": "left"}[side],
            va="center",
        )
    axis.set_xlabel("PSNR (dB): further right is closer")
    axis.set_ylabel("texture distance: lower is closer in sharpness")
    axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=12)
    return figure


def robustness_curves(
    sweep: Mapping[str, Sequence[float]], values: Sequence[float], setting: str, trained_on: float, title: str = ""
) -> Figure:
    """PSNR of several methods over one setting of the damage, such as `evaluation.robustness_sweep` measures it.

    Earlier lines are thicker, so that lines which coincide are all seen.

    Args:
        sweep: name of the method -> PSNR in dB, one for each of `values`.
        values: what the setting was set to.
        setting: its name.
        trained_on: its value in training, marked by a vertical line.
        title: the figure's title.
    """
    figure, axes = new_figure(1, 1, 6.5, 3.4)
    axis = axes[0, 0]
    for above, (name, line) in zip(range(len(sweep) - 1, -1, -1), sweep.items(), strict=True):
        axis.plot(values, line, marker="o", label=name, linewidth=1.5 * (1 + above), markersize=5 + 1.5 * above)
    axis.axvline(trained_on, color="gray", linestyle=":", label="trained on")
    axis.set_xlabel(setting)
    axis.set_ylabel("PSNR (dB)")
    axis.legend(fontsize=8)
    figure.suptitle(title or "Away from what it was trained on", fontsize=12)
    return figure


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
    axes[0, 0].set_ylabel("density")
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


def _marker(points: Sequence) -> str | None:
    return "o" if len(points) < 15 else None
