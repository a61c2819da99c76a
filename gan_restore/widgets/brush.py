"""A brush that paints a mask over a photo: only painted pixels are restored."""

import io
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from PIL import Image
from torch import Tensor

from gan_restore.images import write
from gan_restore.widgets.pictures import encoded, png, to_picture

_SHOWN = 1024  # the longer side of the painted copy in pixels
_INK = "#ff2020"
_OPACITY = 153  # of the paint over the photo, of 255
_PAINTED = 127  # of the paint itself, from which on a pixel counts


class MaskBrush(anywidget.AnyWidget):
    """A photo to paint on with the mouse or a finger; what is painted is `mask`.

    Large photos are shown smaller, and the mask is enlarged to their size.

    Attributes:
        radius: of the brush in pixels of the shown copy.
        erase: whether the brush removes paint.
        painted: the paint as a PNG file with transparency, of the size of the copy.
    """

    _esm = """
    function render({ model, el }) {
      const photo = new Image(), canvas = document.createElement("canvas"), ink = canvas.getContext("2d");
      [canvas.width, canvas.height] = model.get("size");
      photo.src = model.get("source");
      photo.alt = "The photo to paint on";
      photo.style.cssText = "display: block; width: 100%; margin: 0";
      canvas.style.cssText = "position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0.6;" +
        "cursor: crosshair; touch-action: none";
      el.style.cssText = `position: relative; width: ${model.get("width")}px; max-width: 100%`;
      el.append(photo, canvas);
      let last = null;
      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width * canvas.width,
                (event.clientY - box.top) / box.height * canvas.height];
      };
      const stroke = (event) => {
        const here = place(event);
        ink.globalCompositeOperation = model.get("erase") ? "destination-out" : "source-over";
        ink.lineWidth = 2 * model.get("radius");
        ink.lineCap = "round";
        ink.strokeStyle = "#ff2020";
        ink.beginPath();
        ink.moveTo(...last);
        ink.lineTo(...here);
        ink.stroke();
        last = here;
      };
      const keep = () => canvas.toBlob(async (file) => {
        own = true;
        model.set("painted", new DataView(await file.arrayBuffer()));
        model.save_changes();
        own = false;
      });
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        last = place(event);
        stroke(event);
      });
      canvas.addEventListener("pointermove", (event) => last && stroke(event));
      canvas.addEventListener("lostpointercapture", () => { if (last) { last = null; keep(); } });
      let own = false;
      const show = async () => {
        if (own) return;
        const file = model.get("painted"), picture = file.byteLength && await createImageBitmap(new Blob([file]));
        ink.globalCompositeOperation = "copy";
        if (picture) ink.drawImage(picture, 0, 0);
        else ink.clearRect(0, 0, canvas.width, canvas.height);
      };
      model.on("change:painted", show);
      show();
    }
    export default { render };
    """
    source = traitlets.Unicode().tag(sync=True)
    size = traitlets.Tuple().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    radius = traitlets.Float(8.0).tag(sync=True)
    erase = traitlets.Bool(False).tag(sync=True)
    painted = traitlets.CBytes(b"").tag(sync=True)

    def __init__(self, image: Tensor, **options: Any) -> None:
        """Show an image 3 x H x W or 1 x 3 x H x W in [0, 1]; `options` are `radius` and `erase`."""
        self._height, self._width = image.shape[-2:]
        self._picture = to_picture(image)
        self._picture.thumbnail((_SHOWN, _SHOWN))
        source = f"data:image/png;base64,{encoded(self._picture)}"
        super().__init__(source=source, size=self._picture.size, width=max(480, self._picture.width), **options)

    @property
    def mask(self) -> Tensor:
        """What is painted: 1 x 1 x H x W, bool, of the photo's size. Setting it replaces the paint."""
        if not self.painted:
            return torch.zeros(1, 1, self._height, self._width, dtype=torch.bool)
        with Image.open(io.BytesIO(self.painted)) as paint:
            alpha = (
                paint.convert("RGBA").getchannel("A").resize((self._width, self._height), Image.Resampling.NEAREST)
            )
        return torch.from_numpy(np.array(alpha) > _PAINTED)[None, None]

    @mask.setter
    def mask(self, mask: Tensor) -> None:
        if mask.shape != (1, 1, self._height, self._width):
            shape = " x ".join(map(str, mask.shape))
            raise ValueError(f"the mask of this photo is 1 x 1 x {self._height} x {self._width}, not {shape}")
        width, height = self._picture.size
        shown = F.adaptive_max_pool2d(mask.float(), (height, width))[0, 0]  # thin lines stay
        alpha = Image.fromarray((255 * shown).byte().cpu().numpy())
        paint = Image.new("RGBA", self._picture.size, _INK)
        paint.putalpha(alpha)
        self.painted = png(paint)

    def save(self, path: str | Path) -> None:
        """Write the mask into an image file: white where it is painted. `inference.read_mask` reads it again.

        Raises:
            UserError: if the file cannot be written.
        """
        write(path, self.mask.float().expand(-1, 3, -1, -1))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        red = Image.new("RGB", self._picture.size, _INK)
        alpha = Image.fromarray(self.mask[0, 0].numpy().astype("uint8") * _OPACITY).resize(self._picture.size)
        return data | {"image/png": encoded(Image.composite(red, self._picture, alpha))}, metadata
