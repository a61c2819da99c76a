"""The widgets without a browser: their data, their static pictures, and what happens when a control moves."""

import base64
import io
import re
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_restore import widgets
from gan_restore.figures import show_images
from gan_restore.images import to_tensor
from gan_restore.widgets.pictures import grid

VIEW = "application/vnd.jupyter.widget-view+json"


def decoded(png: bytes | str) -> Tensor:
    data = base64.b64decode(png) if isinstance(png, str) else png
    return to_tensor(np.array(Image.open(io.BytesIO(data)).convert("RGB")))


def static(widget: Any) -> Tensor:
    return decoded(widget._repr_mimebundle_()["image/png"])


def plain(red: float, green: float, blue: float, height: int = 40, width: int = 320) -> Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, height, width)


def colour(image: Tensor, row: int, column: int) -> list[float]:
    return [round(value, 2) for value in image[0, :, row, column].tolist()]


def test_the_wipe_holds_both_images(photo: Tensor) -> None:
    bundle = widgets.before_after(photo, photo.flip(3), ("noisy & dark", "<clean>"))._repr_mimebundle_()
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', bundle["text/html"])
    first, second = map(decoded, sources)
    assert torch.equal(first, photo) and torch.equal(second, photo.flip(3))
    assert "noisy &amp; dark" in bundle["text/html"] and "<clean>" not in bundle["text/html"]
    assert "width: 320px" in bundle["text/html"], "64 pixels are enlarged five times"


def test_without_a_browser_before_and_after_are_side_by_side(photo: Tensor) -> None:
    sheet = static(widgets.before_after(photo, photo.flip(3)))
    assert sheet.shape == (1, 3, 5 * 48 + 30, 2 * 328)
    small = sheet[..., 24:262:5, :][..., 2:656:5]
    assert torch.equal(small[..., :48, :64], photo)
    assert torch.equal(sheet[..., 22:262, 328:648], photo.flip(3).repeat_interleave(5, 2).repeat_interleave(5, 3))
    assert sheet[..., :22, :].min() < 0.5, "the labels"


def test_only_images_of_one_size_can_be_compared(photo: Tensor) -> None:
    with pytest.raises(ValueError, match="not 48 x 64 and 24 x 64 pixels"):
        widgets.before_after(photo, photo[..., :24, :])
    with pytest.raises(ValueError, match="not 2 x 3 x 48 x 64"):
        widgets.before_after(photo.expand(2, -1, -1, -1), photo)


def test_a_moved_control_draws_the_picture_again() -> None:
    calls = []

    def draw(kind: str, strength: float = 0.5) -> Tensor:
        calls.append((kind, strength))
        return plain(strength, 0, kind == "blue")

    widget = widgets.interactive(draw, kind=["red", "blue"], strength=(0.0, 1.0, 0.1))
    assert calls == [("red", 0.5)], "a control starts with the default of its parameter"
    widget.controls["strength"].value = 0.8
    widget.controls["kind"].value = "blue"
    assert calls[1:] == [("red", 0.8), ("blue", 0.8)]
    assert colour(decoded(widget.picture.value), 5, 5) == [0.8, 0.0, 1.0]
    assert isinstance(widget.controls["kind"], ipywidgets.Dropdown)
    assert isinstance(widget.controls["strength"], ipywidgets.FloatSlider)


def test_the_static_row_shows_the_chosen_values() -> None:
    widget = widgets.interactive(
        lambda red=0.2, blue=0.0: plain(red, 0, blue),
        static=[{"red": 0.6}, {"blue": 1.0}, {}],
        red=(0.0, 1.0), blue=ipywidgets.FloatSlider(0.0, max=1.0),
    )  # fmt: skip
    widget.controls["red"].value = 1.0  # moving a slider does not change the row
    bundle = widget._repr_mimebundle_()
    assert VIEW in bundle
    row = decoded(bundle["image/png"])
    assert row.shape == (1, 3, 40 + 30, 3 * 328)
    assert [colour(row, 40, at) for at in (5, 333, 661)] == [[0.6, 0, 0], [0.2, 0, 1.0], [0.2, 0, 0]]


def test_wide_pictures_stand_in_rows_of_their_own() -> None:
    values = [{"size": 900}, {"size": 700}]
    sheet = static(widgets.interactive(lambda size=700: plain(0, 0, 0, 40, size), values, size=(700, 900)))
    assert sheet.shape == (1, 3, 2 * 70, 908)


def test_a_figure_is_shown_once() -> None:
    def draw(count: int = 1) -> Any:
        figure, axes = plt.subplots()
        axes.plot(range(count))
        return figure

    widget = widgets.interactive(draw, count=(1, 3))
    before = widget.picture.value
    widget.controls["count"].value = 3
    assert widget.picture.value != before and not plt.get_fignums()
    assert widgets.interactive(lambda n=1: show_images({"a": plain(0, 0, 0)}), n=(1, 2)).picture.value


@pytest.mark.parametrize(
    ("draw", "options", "message"),
    [
        (lambda x: "text", {"x": (0, 1)}, "draw must return an image .* not str"),
        (lambda x: torch.rand(8, 8), {"x": (0, 1)}, "not 8 x 8"),
        (lambda x: plain(0, 0, 0), {"x": (0, 1), "static": [{"y": 1}]}, "static names y; the controls are x"),
        (lambda x: plain(0, 0, 0), {"x": object()}, "x must be a pair of numbers, a list or an ipywidget"),
    ],
)
def test_mistakes_are_named(draw: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        widgets.interactive(draw, **options)


def test_the_pointer_draws_its_place(photo: Tensor) -> None:
    calls = []

    def draw(row: int, column: int) -> Tensor:
        calls.append((row, column))
        return photo[..., row : row + 1, column : column + 1]

    widget = widgets.point_at(photo, draw, (10, 20))
    point = widget.controls["point"]
    assert torch.equal(decoded(point.source.split(",")[1]), photo) and point.size == (48, 64) and point.width == 320
    point.value = [25, 30]  # as a browser sends it
    assert calls == [(10, 20), (25, 30)]
    assert colour(decoded(widget.picture.value), 5, 5) == colour(photo, 25, 30)


def test_the_static_picture_shows_the_start(photo: Tensor) -> None:
    widget = widgets.point_at(photo, lambda row, column: photo[..., row : row + 1, column : column + 1], (10, 20))
    widget.controls["point"].value = (0, 0)
    sheet = static(widget)
    assert colour(sheet, 22 + 52, 102 - 5) == [1, 1, 0], "the mark"
    assert colour(sheet, 22 + 52, 102) == colour(photo, 10, 20), "its middle"
    assert colour(sheet, 30, 328 + 5) == colour(photo, 10, 20), "what draw returned"
    with pytest.raises(ValueError, match="outside of the image of 48 x 64"):
        widgets.point_at(photo, lambda row, column: photo, (48, 0))


def test_each_row_of_a_grid_is_as_high_as_its_pictures() -> None:
    wide, narrow = Image.new("RGB", (1500, 30)), Image.new("RGB", (1400, 400))
    assert grid([("", wide), ("", narrow)], gap=8, line=22).size == (1508, 30 + 400 + 2 * 30)


def test_a_grid_has_as_many_columns_as_asked_for() -> None:
    pictures = [("", Image.new("RGB", (40, 30)))] * 4
    assert [grid(pictures, columns, gap=8, line=22).size for columns in (0, 1, 2)] == [
        (192, 60),
        (48, 240),
        (96, 120),
    ]
