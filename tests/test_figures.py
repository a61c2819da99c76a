from pathlib import Path

import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from gan_restore import figures

ROWS = [
    {
        "method": method, "kind": kind, "psnr": psnr, "ssim": 0.5, "data": "x", "n_images": 3,
        "per_image": {"psnr": [psnr - 1, psnr, psnr + 1], "ssim": [0.4, 0.5, 0.6]},
    }
    for method, kind, psnr in (("degraded", "input", 17.0), ("net", "learned", 50.0))
]  # fmt: skip
HISTORY = [
    {
        "step": i,
        "pixel": 1 / (i + 1),
        "d_loss": 0.6,
        "adversarial": 0.7,
        "d_real": 0.5,
        "d_fake": 0.5,
        "val_psnr": 20 + i,
    }
    for i in range(5)
]


@pytest.mark.parametrize(
    "draw",
    [
        lambda a, b: figures.show_images({"a": a, "b": b[0]}, "title"),
        lambda a, b: figures.image_rows([("row", {"a": a, "b": b[0]}), ("row", {"a": b, "b": a})], "title"),
        lambda a, b: figures.compare({"a": a}, b, "title", {"a": "3 dB"}),
        lambda a, b: figures.scores_chart(ROWS),
        lambda a, b: figures.paired_gains(ROWS[1], ROWS[:1]),
        lambda a, b: figures.curves(HISTORY),
        lambda a, b: figures.curves([{"step": 1, "pixel": 0.5}, {"step": 2, "pixel": 0.4, "val_psnr": 3}]),
        lambda a, b: figures.histogram({"a": a, "b": b}),
    ],
)
def test_figures_are_drawn_saved_and_not_left_open(tmp_path: Path, draw) -> None:
    import matplotlib.pyplot as plt

    figure = draw(torch.rand(1, 3, 40, 60), torch.rand(1, 3, 40, 60))
    assert figures.save_figure(figure, tmp_path / "f.png") is figure
    assert min(Image.open(tmp_path / "f.png").size) > 200 and not plt.get_fignums()


def test_a_jpeg_keeps_all_colours(tmp_path: Path) -> None:
    figures.save_figure(figures.show_images({"a": torch.rand(1, 3, 8, 8)}), tmp_path / "a.jpg")
    assert [layer[1:3] for layer in Image.open(tmp_path / "a.jpg").layer] == [(1, 1)] * 3


def test_every_image_has_the_same_range() -> None:
    figure = figures.compare({"dark": torch.full((1, 3, 40, 40), 0.1)}, torch.full((1, 3, 40, 40), 0.2))
    assert {image.get_clim() for axis in figure.axes for image in axis.images} == {(0, 1)}


def test_the_zoom_finds_the_detail() -> None:
    image = torch.zeros(1, 3, 100, 100)
    image[..., 40:60, 50:70] = torch.rand(20, 20)
    left, top, side = figures.busiest_box(image, 24)
    assert side == 24 and 46 <= left <= 50 and 36 <= top <= 40


def test_paired_gains_show_every_image_and_leave_out_an_interval_of_one() -> None:
    (axis,) = figures.paired_gains(ROWS[1], ROWS[:1]).axes
    interval, dots, mean, _ = axis.lines
    assert list(dots.get_xdata()) == [33.0] * 3 and list(mean.get_xdata()) == [33.0]
    assert list(interval.get_xdata()) == [33.0, 33.0], "the difference is the same on all images"
    single = [{**row, "per_image": {"psnr": row["per_image"]["psnr"][:1]}} for row in ROWS]
    assert len(figures.paired_gains(single[1], single[:1]).axes[0].lines) == 3


def test_names_in_the_plane_do_not_overprint_each_other() -> None:
    points = {name: (30 + 0.01 * index, 2.0) for index, name in enumerate(("first", "second", "third"))}
    points |= {"far left": (25.0, 2.0), "far right": (40.0, 5.0)}
    (axis,) = figures.perception_distortion_plane(points, dict.fromkeys(points, "classical")).axes
    axis.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(name) for name in axis.texts]  # without the lines to the points
    assert len(boxes) == 5 and not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)
