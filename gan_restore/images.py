"""Image files become tensors and tensors become image files, in this module only.

Everywhere else an image batch is a `float32` RGB tensor of shape N x 3 x H x W in [0, 1].
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gan_restore.files import UserError, writing

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}

# Pillow warns of damaged metadata, and of large images before it refuses larger ones. Here a file is either read or
# refused with a `UserError`. The filter is global because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

_Tag, _Group = ExifTags.Base, ExifTags.IFD
# The EXIF tags that describe a photo, and not how its file is laid out.
_EXIF_TAGS = (
    *(_Tag.ImageDescription, _Tag.Make, _Tag.Model, _Tag.Software, _Tag.HostComputer, _Tag.DateTime, _Tag.Artist),
    *(_Tag.Copyright, _Tag.Rating, _Tag.XResolution, _Tag.YResolution, _Tag.ResolutionUnit),
)
# Sizes, which restoration may change, and data that holds offsets into the old file.
_STALE_TAGS = {_Tag.ExifImageWidth, _Tag.ExifImageHeight, _Group.Interop, _Group.MakerNote}


@dataclass(frozen=True)
class Photo:
    """An image file as a tensor, with what a plain RGB tensor would lose.

    Attributes:
        rgb: 1 x 3 x H x W, float32 in [0, 1], upright (the EXIF orientation is applied).
        alpha: Transparency, 1 x 1 x H x W in [0, 1]; None if the file has none.
        gray: Whether the file has one colour channel; `write` then writes one.
        bits: 8 or 16 bits a channel; 16 for gray files only, because Pillow reads 16-bit colour as 8-bit.
        icc: The colour profile of an RGB or gray file, unchanged.
        exif: The EXIF tags that describe the photo (camera, time, place, author). The orientation, the thumbnail,
            the pixel sizes and the camera maker's private notes are left out: they may be wrong after restoration.
        dpi: Horizontal and vertical resolution in dots per inch.
    """

    rgb: Tensor
    alpha: Tensor | None = None
    gray: bool = False
    bits: int = 8
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def list_images(folder: str | Path) -> list[Path]:
    """The image files below `folder` at any depth, sorted by path. Hidden files and folders are left out.

    Raises:
        UserError: If there is no such folder, it cannot be read, or it holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; give a folder of images")
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in files if not name.startswith(".")]
        found += [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f"no images in {folder}; looked for {', '.join(sorted(SUFFIXES))} at any depth")
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot look into the folder {error.filename}: {error.strerror}") from None


def name_below(folder: Path, path: Path) -> str:
    """The path of a file relative to `folder`, with `/` between folders.

    The same as `path.relative_to(folder).as_posix()`, which takes many seconds for 200,000 files.

    Example:
        >>> name_below(Path("photos"), Path("photos/2024/a.png"))
        '2024/a.png'
    """
    return path.as_posix().removeprefix(folder.as_posix().rstrip("/") + "/")


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open and decode an image file: first frame, upright. An error, in the block too, becomes a `UserError`."""
    try:
        with Image.open(path) as image:
            image.load()
            _turn_upright(image)
            yield image
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except UnidentifiedImageError:
        raise UserError(f"cannot read the image {path}: it is damaged or not an image") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UserError(
            f"cannot read the image {path}: it has more than {limit:,} pixels, Pillow's limit; make it smaller"
        ) from None
    except Exception as error:  # a damaged file makes Pillow raise nearly any kind
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"cannot read the image {path}: {reason}") from None


def _turn_upright(image: Image.Image) -> None:
    with suppress(Exception):  # damaged EXIF data raises nearly any kind, and the pixels are whole
        ImageOps.exif_transpose(image, in_place=True)


def decode(path: str | Path) -> np.ndarray:
    """Read an image file as H x W x 3 uint8.

    The first frame is read and turned upright by its EXIF orientation. Where damaged EXIF data hides the
    orientation, the image is read as it is stored. Transparent parts are laid on white. 16 bits become 8 (see
    `read_photo`).

    Raises:
        UserError: If the file is missing, damaged or not an image, or has more pixels than Pillow's limit against
            decompression bombs (178,956,970).
    """
    with _opened(path) as image:
        if image.mode in ("L", "RGB") and "transparency" not in image.info:  # most files, twice as fast
            return np.array(image.convert("RGB"))
        photo = _photo(image)
    rgb = photo.rgb if photo.alpha is None else photo.rgb * photo.alpha + (1 - photo.alpha)
    return to_bytes(rgb)[0].permute(1, 2, 0).contiguous().numpy()


def read_photo(path: str | Path) -> Photo:
    """Read an image file with its transparency, gray mode, bit depth, colour profile, EXIF data and resolution.

    The image is read as `decode` does. White is 65535 in 16-bit gray files. 32-bit gray files do not say what white
    is, so it is the smallest of 1, 255 and 65535 that fits: for integers, none may be larger; for floats, 99 % may
    be at most ten times as large, so that a few values above 1 do not turn the image black. What is brighter than
    white becomes white.

    Raises:
        UserError: As `decode`.
    """
    with _opened(path) as image:
        return _photo(image)


def _photo(image: Image.Image) -> Photo:
    alpha, bits, is_number = None, 8, image.mode.startswith("I") or image.mode == "F"
    if is_number:
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        white = _white(image.mode, values)
        rgb, bits = torch.from_numpy(values / white).clamp(0, 1).expand(1, 3, -1, -1), 8 if white == 255 else 16
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgb, alpha = to_tensor(np.asarray(image.convert("RGBA"))).split((3, 1), dim=1)
        alpha = alpha.contiguous()
    else:
        rgb = to_tensor(np.asarray(image.convert("RGB")))
    is_gray = is_number or image.mode in ("1", "L", "LA", "La")
    icc = None if image.mode in ("CMYK", "LAB", "YCbCr", "HSV") else image.info.get("icc_profile")
    return Photo(rgb.contiguous(), alpha, is_gray, bits, icc, _exif(image), _dpi(image))


def _white(mode: str, values: np.ndarray) -> float:
    """The value that stands for white in a gray image of more than 8 bits; `read_photo` says how it is found."""
    if mode.startswith("I;16"):
        return 65535.0
    peak = values.max(initial=0) if mode == "I" else np.quantile(values, 0.99) / 10
    return 1.0 if peak <= 1 else 255.0 if peak <= 255 else 65535.0


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF data as `Photo.exif` describes it; None if there is none or it is damaged."""
    try:
        found, kept = image.getexif(), Image.Exif()
        kept.update({tag: found[tag] for tag in _EXIF_TAGS if tag in found})
        for group in (_Group.Exif, _Group.GPSInfo):
            values = {tag: value for tag, value in found.get_ifd(group).items() if tag not in _STALE_TAGS}
            if values:
                kept[group] = values
        return kept.tobytes() if kept else None
    except Exception:  # damaged EXIF data raises nearly any kind
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):  # none, or damaged
        return None
    # Files hold dots per inch in 16 bits. Pillow says 1 for a TIFF file that states no resolution.
    return (across, down) if all(isfinite(value) and 1 < value < 2**16 for value in (across, down)) else None


def read(path: str | Path) -> Tensor:
    """Read an image file as a batch of one: 1 x 3 x H x W, float32 in [0, 1]. See `decode`.

    Raises:
        UserError: As `decode`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write(f"{folder}/photo.png", torch.zeros(1, 3, 48, 64))
        ...     read(f"{folder}/photo.png").shape
        torch.Size([1, 3, 48, 64])
    """
    return to_tensor(decode(path))


def write(path: str | Path, image: Tensor | Photo) -> None:
    """Write an image to a file whose format its suffix chooses.

    PNG, TIFF, BMP and WebP (lossless) keep every pixel. JPEG is written at quality 95, and GIF has 256 colours.
    JPEG, BMP and PPM drop transparency. JPEG, PNG, TIFF and WebP keep the colour profile, the EXIF data and the
    resolution (WebP: only as EXIF data).

    Args:
        path: The file to write, replaced if it exists.
        image: 1 x 3 x H x W or 3 x H x W in [0, 1], or a `Photo`.

    Raises:
        UserError: If the suffix names no image format, the format cannot hold the image (WebP holds at most 16383
            pixels a side), or the file cannot be written.
    """
    photo = image if isinstance(image, Photo) else Photo(image if image.ndim == 4 else image[None])
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"cannot write {path}: its suffix names no image format; use .png or .jpg")
    rgb = photo.rgb.mean(1, keepdim=True) if photo.gray else photo.rgb
    if photo.bits == 16 and photo.gray and suffix in (".png", ".tif", ".tiff"):
        values = (rgb[0, 0].clamp(0, 1) * 65535).round().cpu().numpy().astype(np.uint16)
        picture = Image.fromarray(values)
    else:
        channels = [rgb] if photo.alpha is None else [rgb, photo.alpha]
        values = to_bytes(torch.cat(channels, dim=1))[0].permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(values.squeeze(2) if values.shape[2] == 1 else np.ascontiguousarray(values))
    facts = {"icc_profile": photo.icc, "exif": photo.exif, "dpi": photo.dpi}
    options: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
    if suffix in (".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"):
        picture = picture.convert("L" if photo.gray else "RGB")
    if suffix in (".jpg", ".jpeg"):
        options["quality"] = 95
    if suffix == ".webp":
        options |= {"lossless": True, "exact": True}  # exact: colours under transparent pixels, too
    try:
        with writing(path) as part:
            picture.save(part, **options)
    except ValueError as error:  # from Pillow, for an image or EXIF data that the format cannot hold
        raise UserError(f"cannot write {path}: {error}; choose another format") from None


def to_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Turn 8-bit pixels into a float32 batch N x C x H x W in [0, 1].

    Args:
        values: A uint8 array H x W x C, or a uint8 tensor C x H x W or N x C x H x W.
    """
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.array(values, copy=True)).permute(2, 0, 1)
    values = values if values.ndim == 4 else values[None]
    # Contiguous first: a view of H x W x C bytes divides several times slower.
    return values.contiguous().float().div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Round images of any shape, in [0, 1], to uint8 from 0 to 255 of the same shape."""
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)


def quantise(images: Tensor) -> Tensor:
    """Round images of any shape, in [0, 1], to the 256 levels of an 8-bit file, still in [0, 1]."""
    return images.clamp(0, 1).mul(255).round().div(255)


def enlarge_to(images: Tensor, size: int) -> Tensor:
    """Enlarge a batch by bilinear interpolation until its shorter side is `size`, and round it to 8 bits.

    A batch whose shorter side is at least `size` is returned unchanged. FER2013's 48 x 48 faces are enlarged to
    128 x 128 this way.

    Args:
        images: N x C x H x W in [0, 1].
        size: Shorter side of the result in pixels.

    Returns:
        N x C x H' x W' in [0, 1].
    """
    height, width = images.shape[-2:]
    if min(height, width) >= size:
        return images
    scale = size / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    return quantise(F.interpolate(images, size=target, mode="bilinear", align_corners=False))


def to_square(image: np.ndarray, side: int) -> np.ndarray:
    """Cut the largest square out of the middle of an image and resize it (Pillow's bicubic, with antialiasing).

    Args:
        image: uint8 H x W x 3 or H x W.
        side: Side of the result in pixels.

    Returns:
        uint8 `side` x `side` x 3 or `side` x `side`.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = Image.fromarray(image[top : top + short, left : left + short])
    return np.array(middle.resize((side, side), Image.Resampling.BICUBIC))
