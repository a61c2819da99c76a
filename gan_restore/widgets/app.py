"""A photo of the reader's own, restored in the notebook."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import torch.nn.functional as F
from torch import Tensor

from gan_restore.files import MemoryFile, UserError
from gan_restore.inference import Compute, Restorer, advise, load_restorer, model_names, restore_photo
from gan_restore.photos import Photo, photo_warnings, read_photo, write_photo
from gan_restore.widgets.brush import MaskBrush
from gan_restore.widgets.pictures import BeforeAfter, before_after

_SHOWN = 1200  # the longer side of the photos under the wipe, in pixels


class RestoreApp(ipywidgets.VBox):
    """Choose a photo and a model, paint over the damage, compare before and after, and save.

    Example:
        >>> app = RestoreApp(model="scratches")
        >>> app.load("old.png")  # doctest: +SKIP
        >>> app.restore()  # doctest: +SKIP
        >>> app.save("restored.png")  # doctest: +SKIP

    Attributes:
        photo: the photo, or None before one is chosen.
        restored: the restored photo, or None before there is one.
        brush: the photo to paint on. If something is painted, only that may change.
        upload, model, strength, start, keep: the ipywidgets to choose with, to restore and to save with.
        message: the ipywidget that says what was chosen and why, and shows warnings and errors.
    """

    def __init__(self, model: str = "auto", compute: Compute | None = None) -> None:
        """Show the controls.

        Args:
            model: the model to begin with, or "auto" for models chosen by `inference.advise`.
            compute: the device and precision.

        Raises:
            UserError: if there is no such model.
        """
        names = ("auto", *model_names())
        if model not in names:
            raise UserError(f"no model '{model}'; choose one of {', '.join(names)}")
        self.photo: Photo | None = None
        self.restored: Photo | None = None
        self.brush: MaskBrush | None = None
        self._compute, self._name = compute, "photo.png"
        self._compared: BeforeAfter | None = None
        self._links: list[Any] = []
        self.upload = ipywidgets.FileUpload(
            accept="image/*", description="Choose a photo", layout={"min_width": "10em"}
        )
        self.model = ipywidgets.Dropdown(options=names, value=model, description="model")
        self.strength = ipywidgets.FloatSlider(1.0, min=0.0, max=1.0, step=0.1, description="strength")
        self.start = ipywidgets.Button(description="Restore", button_style="primary", disabled=True)
        self.message, self._wipe = ipywidgets.HTML(), ipywidgets.HTML()
        self._progress = ipywidgets.FloatProgress(max=1.0, description="restoring", layout={"display": "none"})
        self.keep = ipywidgets.Button(description="Save", disabled=True)
        self._radius = ipywidgets.FloatSlider(8.0, min=1.0, max=50.0, description="brush")
        self._erase = ipywidgets.ToggleButton(False, description="Erase")
        self._clear = ipywidgets.Button(description="Clear the paint")
        paint = ipywidgets.HBox([self._radius, self._erase, self._clear])
        hint = ipywidgets.HTML(
            "Paint over the damage, and only that will change. Without paint, everything may change."
        )
        self._paper = ipywidgets.VBox()
        self._painting = ipywidgets.VBox([hint, paint, self._paper], layout={"display": "none"})
        self.upload.observe(lambda change: self._told(lambda: self._open_upload(change["new"])), "value")
        self.start.on_click(lambda _: self._told(self.restore))
        self.keep.on_click(lambda _: self._told(self._on_save))
        self._clear.on_click(lambda _: self.brush and setattr(self.brush, "painted", b""))
        choices = ipywidgets.HBox([self.upload, self.model, self.strength, self.start, self.keep])
        super().__init__([choices, self.message, self._progress, self._wipe, self._painting])

    def load(self, photo: str | Path | MemoryFile | Photo) -> None:
        """Take a photo, or a file of one.

        Raises:
            UserError: if the file cannot be read.
        """
        with photo_warnings() as told:
            self.photo = photo if isinstance(photo, Photo) else read_photo(photo)
        self._name = "photo.png" if isinstance(photo, Photo) else Path(str(photo)).name
        self._forget()
        self._say(told)
        self.brush = MaskBrush(self.photo.rgb)
        for link in self._links:
            link.unlink()
        controls = ((self._radius, "radius"), (self._erase, "erase"))
        self._links = [ipywidgets.link((control, "value"), (self.brush, name)) for control, name in controls]
        self._paper.children = [self.brush]
        self._painting.layout.display = ""
        self.start.disabled = False

    def restore(self) -> Photo:
        """Restore the photo by the chosen model, and show it beside the photo.

        Raises:
            UserError: if no photo is chosen, or the model cannot restore it.
        """
        if self.photo is None:
            raise UserError("choose a photo first")
        mask = self.brush.mask if self.brush else None
        if mask is not None and not mask.any():  # nothing was painted, or all of it was erased
            mask = None
        self._forget()
        self._progress.layout.display = ""
        try:
            with photo_warnings() as told:
                lines, restorers = self._chosen(self.photo, same_size=mask is not None)
                self.restored = restore_photo(self.photo, *restorers, mask=mask, progress=self._show_progress)
        finally:
            self._progress.layout.display = "none"
        self._say(lines + told)
        self._compared = before_after(*_alike(self.photo.rgb, self.restored.rgb), (self._name, "restored"))
        self._wipe.value = self._compared.html
        self.keep.disabled = False
        return self.restored

    def save(self, path: str | Path) -> None:
        """Write the restored photo into a file, with the metadata of the photo.

        Raises:
            UserError: if nothing is restored yet, or the file cannot be written.
        """
        if self.restored is None:
            raise UserError("nothing is restored yet; press Restore first")
        write_photo(path, self.restored)

    def _forget(self) -> None:
        """Remove the restored photo and what was said about it."""
        self.restored, self._compared, self._wipe.value, self.message.value = None, None, "", ""
        self.keep.disabled = True

    def _say(self, lines: list[str]) -> None:
        self.message.value = "<br>".join(map(html.escape, lines))

    def _show_progress(self, part: float) -> None:
        self._progress.value = part

    def _chosen(self, photo: Photo, same_size: bool) -> tuple[list[str], list[Restorer]]:
        """What to say about the chosen models, and their restorers."""

        def load(name: str) -> Restorer:
            return load_restorer(name, self._compute, strength=self.strength.value)

        if self.model.value != "auto":
            return [], [load(self.model.value)]
        advice = advise(photo, load, same_size=same_size)
        return [str(choice) for choice in advice], [load(choice.model) for choice in advice if choice.use]

    def _open_upload(self, files: tuple[dict[str, Any], ...]) -> None:
        for file in files:
            self.load(MemoryFile(file["name"], bytes(file["content"])))

    def _on_save(self) -> None:
        first = target = Path("restored") / self._name
        number = 1
        while target.exists():
            number += 1
            target = first.with_stem(f"{first.stem}-{number}")
        self.save(target)
        self._say([f"saved as {target}"])

    def _told(self, action: Callable[[], object]) -> None:
        """Do what a button asks for, and show an error as a message."""
        self.message.value = ""
        try:
            action()
        except UserError as error:
            self._say([str(error)])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if self._compared is not None:
            bundle["image/png"] = self._compared.static
        return bundle


def _alike(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Both photos in the size of the restored one, and at most `_SHOWN` pixels a side."""
    height, width = after.shape[-2:]
    by = min(1.0, _SHOWN / max(height, width))
    size = (max(1, round(by * height)), max(1, round(by * width)))
    smaller = [F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1) for image in (before, after)]
    return smaller[0], smaller[1]
