"""What a request asks for, checked before any pixel is decoded."""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any

from flask import Request
from PIL import Image, UnidentifiedImageError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from gan_restore.files import MemoryFile, UserError, did_you_mean

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""The image formats that are opened, in Pillow's names. JPEG includes MPO, a JPEG with further views."""

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
"""The formats of results, and the suffixes of their files."""

MIMETYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".tif": "image/tiff"}
"""The media type of each result."""

_SAME = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}  # of a photo; all others become PNG
_MOST_MODELS = 4  # in one request
_NAME_LENGTH = 80
_FIELDS = ("photo", "model", "mask", "strength", "preserve", "ensemble", "guarded", "format")


@dataclass(frozen=True)
class Limits:
    """What a request may hold.

    Attributes:
        megapixels: of a photo and of its result, in millions of pixels.
        megabytes: of a request, in millions of bytes.
    """

    megapixels: float = 100
    megabytes: float = 64

    @property
    def bytes(self) -> int:
        """Bytes of a request."""
        return round(1e6 * self.megabytes)

    def check_pixels(self, what: str, width: int, height: int) -> None:
        """Refuse an image that is too large.

        Raises:
            RequestEntityTooLarge: if it has more pixels than allowed.
        """
        if width * height > 1e6 * self.megapixels:
            size = f"{width} x {height} pixels"
            raise RequestEntityTooLarge(
                f"{what} has {size}, more than {self.megapixels:g} megapixels; make it smaller"
            )


@dataclass(frozen=True)
class Order:
    """A photo and what to do with it.

    Attributes:
        photo: the upload.
        models: names of models, applied in this order.
        name: of the result's file. It names the models, and its suffix chooses the format.
        mask: the upload; only its white pixels change.
        guarded: keep brightness and colour of large areas (`inference.restore_photo`).
        options: `strength`, `preserve` and `ensemble` of `Restorer`.
    """

    photo: MemoryFile
    models: tuple[str, ...]
    name: str
    mask: MemoryFile | None = None
    guarded: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def read_order(request: Request, factors: Mapping[str, int], limits: Limits) -> Order:
    """Check a request of the form that openapi.json describes.

    Args:
        request: the request.
        factors: the models that may be asked for, and by how much each enlarges.
        limits: what it may hold.

    Raises:
        HTTPException: 400, 413, 415 or 422, with a message for the user.
    """
    check_fields(request, _FIELDS)
    photo, image = read_image(request, "photo", limits)
    models = tuple(request.form.getlist("model"))
    for model in models:
        if model not in factors:
            near = did_you_mean(model, factors)
            raise BadRequest(f"there is no model '{model[:40]}'{near}; the models are {', '.join(factors)}")
    if not 1 <= len(models) <= _MOST_MODELS:
        raise BadRequest(
            f"name 1 to {_MOST_MODELS} models in the field 'model'; the models are {', '.join(factors)}"
        )
    factor = math.prod(factors[model] for model in models)
    limits.check_pixels("the result", factor * image.width, factor * image.height)
    mask = read_image(request, "mask", limits)[0] if "mask" in request.files else None
    options = {
        "strength": _number(request, "strength", 1.0),
        "preserve": _number(request, "preserve", 0.0),
        "ensemble": read_switch(request, "ensemble", False),
    }
    if factor > 1 and (mask is not None or options["preserve"]):
        larger = " and ".join(sorted({model for model in models if factors[model] > 1}))
        raise BadRequest(f"{larger} enlarges the photo, so no pixel can be kept; leave out mask and preserve")
    wanted = request.form.get("format", "")
    if wanted and wanted not in SUFFIXES:
        raise BadRequest(f"format must be one of {', '.join(SUFFIXES)}, or be left out for that of the photo")
    suffix = SUFFIXES[wanted] if wanted else _SAME.get(image.format or "", ".png")
    name = f"{stem(photo.name)}-{'-'.join(models)}{suffix}"
    return Order(photo, models, name, mask, read_switch(request, "guarded", True), options)


def check_fields(request: Request, names: Iterable[str]) -> None:
    """Refuse fields of a form that have no meaning, such as a misspelled one.

    Raises:
        HTTPException: 400, if there is a field that `names` lacks.
    """
    for name in (*request.form, *request.files):
        if name not in names:
            raise BadRequest(f"there is no field '{name[:40]}'{did_you_mean(name, names)}")


def read_image(request: Request, name: str, limits: Limits) -> tuple[MemoryFile, Image.Image]:
    """The upload of a form field, and its header as Pillow reads it; no pixel is decoded.

    Raises:
        HTTPException: 400 if there is none or it is empty, 413 if it has too many pixels, 415 if it is no image,
            422 if Pillow cannot read its header.
    """
    uploads = request.files.getlist(name)
    if len(uploads) != 1:
        raise BadRequest(f"send one file in the field '{name}', as multipart/form-data")
    file = MemoryFile(_file_name(uploads[0]), uploads[0].read())
    if not file.getbuffer().nbytes:
        raise BadRequest(f"{file} is empty")
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        kinds = "JPEG, PNG, WebP, TIFF, BMP, GIF or PPM"
        raise UnsupportedMediaType(f"{file} is damaged or not an image; send {kinds}") from None
    except Image.DecompressionBombError:
        message = f"{file} has far more than {limits.megapixels:g} megapixels; make it smaller"
        raise RequestEntityTooLarge(message) from None
    except Exception as error:  # a damaged header makes Pillow raise nearly any kind
        raise unfit(f"cannot read {file}: {error}") from None
    limits.check_pixels(str(file), *image.size)
    file.seek(0)
    return file, image


def unfit(message: str | UserError) -> HTTPException:
    """The error 422: a well-formed request that cannot be carried out."""
    error = HTTPException(str(message))
    error.code = 422
    return error


def stem(name: str) -> str:
    """The name of an upload without its last suffix, at most 80 characters, fit for a file of the result.

    Example:
        >>> stem("holiday.old.jpeg"), stem(".png")
        ('holiday.old', 'photo')
    """
    return name.rpartition(".")[0][:_NAME_LENGTH].strip(" .") or "photo"


def _file_name(upload: FileStorage) -> str:
    """The name of an upload without folders and control characters; it is only shown and handed back."""
    name = PureWindowsPath(upload.filename or "").name  # takes / and \ for separators
    shown = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C" and letter not in '<>:"|?*')
    return shown[-2 * _NAME_LENGTH :] or "photo"


def _number(request: Request, name: str, default: float) -> float:
    try:
        value = float(request.form.get(name, default))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadRequest(f"{name} must be a number from 0 to 1")
    return value


def read_switch(request: Request, name: str, default: bool) -> bool:
    """The value of a form field that is `true` or `false`.

    Raises:
        HTTPException: 400, if it is neither.
    """
    value = request.form.get(name, str(default).lower())
    if value not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false")
    return value == "true"
