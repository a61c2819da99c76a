"""Matplotlib figures: images, comparisons with enlarged details and error maps, curves, charts.

Images are always shown with the same range, black 0 and white 1, so that brightness can be compared. Every function
returns a figure that pyplot does not hold, so a notebook shows it only where it is the value of a cell.
"""

from gan_restore.figures.base import new_figure, save_figure
from gan_restore.figures.charts import (
    COLOURS,
    compare_runs,
    curves,
    heat_map,
    histogram,
    paired_gains,
    perception_distortion_plane,
    robustness_curves,
    scores_chart,
)
from gan_restore.figures.images import Box, as_array, busiest_box, compare, image_rows, show_images

__all__ = [
    "COLOURS",
    "Box",
    "as_array",
    "busiest_box",
    "compare",
    "compare_runs",
    "curves",
    "heat_map",
    "histogram",
    "image_rows",
    "new_figure",
    "paired_gains",
    "perception_distortion_plane",
    "robustness_curves",
    "save_figure",
    "scores_chart",
    "show_images",
]
