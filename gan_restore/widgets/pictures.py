"""Two images under a wipe, and a picture that follows sliders or the pointer.

Each function returns an object that shows itself as the last value of a cell.
"""

import base64
import html
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_restore.files import UserError, install
from gan_restore.images import to_bytes

try:
    import anywidget
    import ipywidgets
    import traitlets
except ModuleNotFoundError as error:
    raise UserError(f"widgets need the package {error.name}: {install('course')}") from None

Drawn = Tensor | Figure
"""What a `draw` function returns: an image 3 x H x W or 1 x 3 x H x W in [0, 1], or a matplotlib figure."""

_LEAST_WIDTH = 320  # in pixels; smaller images are enlarged by a whole factor
_GRID_WIDTH = 1600  # of a static picture in pixels, before the next row begins


class BeforeAfter:
    """Two images under a wipe, made by `before_after`."""

    def __init__(self, before: Tensor, after: Tensor, labels: tuple[str, str]) -> None:
        if before.shape[-2:] != after.shape[-2:]:
            sizes = " and ".join(f"{image.shape[-2]} x {image.shape[-1]}" for image in (before, after))
            raise ValueError(f"the two images must have the same size, not {sizes} pixels: enlarge the smaller one")
        self.pictures = [to_picture(before), to_picture(after)]
        self.labels = labels

    @property
    def html(self) -> str:
        """The widget as HTML, which needs no kernel."""
        width, factor = self.pictures[0].width, _enlargement(self.pictures[0])
        sources = [f"data:image/png;base64,{encoded(picture)}" for picture in self.pictures]
        labels = [html.escape(label) for label in self.labels]
        rendering = "pixelated" if factor > 1 else "auto"
        return _WIPE.format(*sources, *labels, width=factor * width, rendering=rendering)

    @property
    def static(self) -> str:
        """Both images side by side as a PNG file in base64, for pages without HTML."""
        shown = [(label, _enlarged(picture)) for label, picture in zip(self.labels, self.pictures, strict=True)]
        return encoded(grid(shown))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": " / ".join(self.labels), "text/html": self.html, "image/png": self.static}


# An invisible range input covers the images: it serves mouse, touch and keyboard without a kernel. JupyterLab keeps
# the arrow keys to itself unless the input has the attribute data-lm-suppress-shortcuts.
_WIPE = """\
<div style="display: inline-grid; position: relative; width: {width}px; max-width: 100%; --cut: 50%">
<img src="{0}" alt="{2}" style="grid-area: 1 / 1; width: 100%; margin: 0; image-rendering: {rendering}">
<img src="{1}" alt="{3}" style="grid-area: 1 / 1; width: 100%; margin: 0; image-rendering: {rendering};
 clip-path: inset(0 0 0 var(--cut))">
<span style="position: absolute; top: 6px; left: 6px; padding: 1px 6px; color: white; background: #0009">{2}</span>
<span style="position: absolute; top: 6px; right: 6px; padding: 1px 6px; color: white; background: #0009">{3}</span>
<span style="position: absolute; top: 0; bottom: 0; left: calc(var(--cut) - 1px); width: 2px; background: white;
 box-shadow: 0 0 3px black"></span>
<input type="range" value="50" aria-label="{2} / {3}" data-lm-suppress-shortcuts="true"
 style="grid-area: 1 / 1; z-index: 1; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize"
 oninput="this.parentNode.style.setProperty('--cut', this.value + '%')"
 onfocus="this.parentNode.style.outline = '2px solid #4c78a8'" onblur="this.parentNode.style.outline = 'none'">
</div>"""


def before_after(before: Tensor, after: Tensor, labels: tuple[str, str] = ("before", "after")) -> BeforeAfter:
    """Two images on top of each other, with a line between them that mouse, finger and arrow keys move.

    It needs no kernel, so it also works on an exported page. The static picture shows both images side by side.

    Args:
        before, after: images of the same size, 3 x H x W or 1 x 3 x H x W in [0, 1].
        labels: the names of the left and of the right image.

    Raises:
        ValueError: if the sizes differ, or an argument is no image.

    Example:
        >>> import torch
        >>> before_after(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)).labels
        ('before', 'after')
    """
    return BeforeAfter(before, after, labels)


class Live(ipywidgets.Box):
    """Controls and the picture that `draw` makes from their values, made by `interactive` and `point_at`.

    Attributes:
        controls: name -> ipywidget; setting its `value` redraws the picture.
        picture: the ipywidget that shows the picture, a PNG file in its `value`.
    """

    def __init__(
        self,
        draw: Callable[..., Drawn],
        controls: Mapping[str, Any],
        static: Callable[[], Image.Image],
        flow: str,
    ) -> None:
        self.draw, self.controls, self.static = draw, dict(controls), static
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self.messages = ipywidgets.Output()  # what `draw` prints, and its errors
        children = [*controls.values(), self.picture, self.messages]
        super().__init__(children, layout={"flex_flow": flow, "align_items": "flex-start"})
        self._redraw()
        for control in controls.values():
            control.observe(self._on_move, "value")

    def _redraw(self) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        self.picture.value = png(rendered(self.draw(**values)))

    def _on_move(self, _: object) -> None:
        self.messages.outputs = ()
        with self.messages:
            self._redraw()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(**options) | {"image/png": encoded(self.static())}


def interactive(draw: Callable[..., Drawn], static: Sequence[Mapping[str, Any]] = (), **controls: Any) -> Live:
    """A picture with sliders and menus: moving one draws the picture again.

    The static picture shows what `draw` returns for the values in `static`.

    Args:
        draw: the values of the controls, by name -> an image or a matplotlib figure.
        static: name -> value, once for each picture of the static row; a name that is left out keeps the value that
            its control starts with. By default one picture with these values.
        controls: name -> (lowest, highest) or (lowest, highest, step) for a slider; a list for a menu; or an
            ipywidget. A control starts with the default of `draw`'s parameter if there is one.

    Raises:
        ValueError: if `static` names a control that does not exist, or `draw` returns neither image nor figure.

    Example:
        >>> import torch
        >>> gray = interactive(lambda value=0.5: torch.full((1, 3, 8, 8), value), value=(0.0, 1.0, 0.1))
        >>> gray.controls["value"].value = 0.7
    """
    parameters = inspect.signature(draw).parameters
    made = {name: _control(name, kind, parameters) for name, kind in controls.items()}
    for values in static:
        if unknown := values.keys() - made.keys():
            raise ValueError(f"static names {', '.join(sorted(unknown))}; the controls are {', '.join(made)}")
    start = {name: control.value for name, control in made.items()}

    def picture() -> Image.Image:
        shown = [start | dict(values) for values in static] or [start]
        return grid([(_caption(values), rendered(draw(**values))) for values in shown])

    return Live(draw, made, picture, "column")


def _control(name: str, kind: Any, parameters: Mapping[str, inspect.Parameter]) -> Any:
    default = parameters[name].default if name in parameters else inspect.Parameter.empty
    control = ipywidgets.interactive.widget_from_abbrev(kind, default)
    if control is None:
        raise ValueError(f"{name} must be a pair of numbers, a list or an ipywidget, not {kind!r}")
    control.description = control.description or name
    control.style = {"description_width": "initial"}
    return control


def _caption(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}" for name, value in values.items()
    )


class _Pointer(anywidget.AnyWidget):
    """An image that knows where the pointer is; `value` is its row and column in pixels."""

    _esm = """
    function render({ model, el }) {
      const [height, width] = model.get("size"), image = new Image(), mark = document.createElement("div");
      image.src = model.get("source");
      image.tabIndex = 0;
      image.dataset.lmSuppressShortcuts = "true";  // of JupyterLab
      image.alt = "Move the pointer over the image, or press the arrow keys";
      image.style.cssText = "display: block; max-width: 100%; cursor: crosshair; touch-action: none;" +
        `width: ${model.get("width")}px; image-rendering: ${model.get("width") > width ? "pixelated" : "auto"}`;
      mark.style.cssText = "position: absolute; width: 10px; height: 10px; margin: -6px; pointer-events: none;" +
        "border: 2px solid yellow; outline: 1px solid black";
      el.style.cssText = "position: relative; max-width: 100%; align-self: flex-start";
      el.append(image, mark);
      const show = () => {
        const [row, column] = model.get("value");
        mark.style.top = `${100 * (row + 0.5) / height}%`;
        mark.style.left = `${100 * (column + 0.5) / width}%`;
      };
      const go = (row, column) => {
        const inside = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
        model.set("value", [inside(row, height), inside(column, width)]);
        model.save_changes();
      };
      const follow = (event) => {
        const box = image.getBoundingClientRect();
        go((event.clientY - box.top) / box.height * height, (event.clientX - box.left) / box.width * width);
      };
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      image.addEventListener("pointermove", follow);
      image.addEventListener("pointerdown", follow);
      image.addEventListener("keydown", (event) => {
        const move = moves[event.key], [row, column] = model.get("value");
        if (!move) return;
        event.preventDefault();
        event.stopPropagation();
        go(row + move[0], column + move[1]);
      });
      model.on("change:value", show);
      show();
    }
    export default { render };
    """
    source = traitlets.Unicode().tag(sync=True)
    size = traitlets.Tuple().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    value = traitlets.Tuple((0, 0)).tag(sync=True)


def point_at(image: Tensor, draw: Callable[[int, int], Drawn], start: tuple[int, int] | None = None) -> Live:
    """An image, and beside it a picture of the place that the pointer is at.

    Mouse, finger and arrow keys move the point. The static picture shows the image with `start` marked and the
    picture of that place.

    Args:
        image: 3 x H x W or 1 x 3 x H x W in [0, 1].
        draw: row and column in pixels of the image -> an image or a matplotlib figure.
        start: the first row and column; by default the middle.

    Raises:
        ValueError: if `image` is no image, `start` is outside of it, or `draw` returns neither image nor figure.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 3, 8, 12)
        >>> colour = point_at(image, lambda row, column: image[..., row : row + 1, column : column + 1])
        >>> colour.controls["point"].value
        (4, 6)
    """
    whole = to_picture(image)
    row, column = start or (whole.height // 2, whole.width // 2)
    if not (0 <= row < whole.height and 0 <= column < whole.width):
        raise ValueError(f"start {start} is outside of the image of {whole.height} x {whole.width} pixels")
    factor = _enlargement(whole)
    pointer = _Pointer(
        source=f"data:image/png;base64,{encoded(whole)}",
        size=(whole.height, whole.width),
        width=factor * whole.width,
        value=(row, column),
    )

    def picture() -> Image.Image:
        marked = _enlarged(whole)
        x, y = factor * (column + 0.5), factor * (row + 0.5)
        ImageDraw.Draw(marked).rectangle((x - 5, y - 5, x + 5, y + 5), outline="yellow", width=2)
        return grid([(f"row {row}, column {column}", marked), ("", rendered(draw(row, column)))])

    return Live(lambda point: draw(*point), {"point": pointer}, picture, "row wrap")


def to_picture(image: Tensor) -> Image.Image:
    """3 x H x W or 1 x 3 x H x W in [0, 1] -> a Pillow image of the same size."""
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[:2] != (1, 3):
        raise ValueError(f"an image is 3 x H x W or 1 x 3 x H x W, not {' x '.join(map(str, image.shape))}")
    return Image.fromarray(to_bytes(batch.detach().float())[0].permute(1, 2, 0).cpu().contiguous().numpy())


def rendered(drawn: Any) -> Image.Image:
    """What `draw` returned as a picture to show; small images are enlarged."""
    if isinstance(drawn, Tensor):
        return _enlarged(to_picture(drawn))
    if isinstance(drawn, Figure):
        plt.close(drawn)  # a figure of pyplot would be shown once more below the cell
        file = io.BytesIO()
        drawn.savefig(file, format="png", dpi=100, bbox_inches="tight", facecolor="white")
        return Image.open(file).convert("RGB")
    raise ValueError(f"draw must return an image (a tensor) or a matplotlib figure, not {type(drawn).__name__}")


def _enlargement(picture: Image.Image) -> int:
    return max(1, _LEAST_WIDTH // picture.width)


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = _enlargement(picture)
    return picture.resize((factor * picture.width, factor * picture.height), Image.Resampling.NEAREST)


def grid(
    pictures: Sequence[tuple[str, Image.Image]], columns: int = 0, gap: int = 8, line: int = 22
) -> Image.Image:
    """Pictures with captions in rows, on white; by default as many in a row as fit."""
    font = ImageFont.load_default(15)
    width = max(max(picture.width, int(font.getlength(caption))) for caption, picture in pictures) + gap
    columns = columns or min(len(pictures), max(1, _GRID_WIDTH // width))
    rows = [pictures[first : first + columns] for first in range(0, len(pictures), columns)]
    heights = [max(picture.height for _, picture in row) + gap + line for row in rows]
    sheet = Image.new("RGB", (columns * width, sum(heights)), "white")
    for number, row in enumerate(rows):
        top = sum(heights[:number])
        for column, (caption, picture) in enumerate(row):
            ImageDraw.Draw(sheet).text((column * width, top + 2), caption, "black", font)
            sheet.paste(picture, (column * width, top + line))
    return sheet


def png(picture: Image.Image) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def encoded(picture: Image.Image) -> str:
    """A picture as a PNG file in base64, as it stands in a notebook."""
    return base64.b64encode(png(picture)).decode()
