"""Figures as objects and files."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from gan_restore.files import writing


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
