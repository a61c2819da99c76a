"""Photos: image files with everything that a plain RGB tensor would lose."""

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
import torch
from PIL import ExifTags, Image
from torch import Tensor

from gan_restore.files import MemoryFile, writing
from gan_restore.images import DEEP, opened, pixels_of, save, to_bytes, to_unit, write_unit

_Tag, _Group = ExifTags.Base, ExifTags.IFD
# The EXIF tags that describe a photo, and not how its file is laid out.
_EXIF_TAGS = (
    *(_Tag.ImageDescription, _Tag.Make, _Tag.Model, _Tag.Software, _Tag.HostComputer, _Tag.DateTime, _Tag.Artist),
    *(_Tag.Copyright, _Tag.Rating, _Tag.XResolution, _Tag.YResolution, _Tag.ResolutionUnit),
)
# Sizes, which restoration may change, and data that holds offsets into the old file.
_STALE_TAGS = {_Tag.ExifImageWidth, _Tag.ExifImageHeight, _Group.Interop, _Group.MakerNote}
# What tifffile decompresses without another package, and the values that a strip or tile may hold in any case.
_TIFF_COMPRESSIONS = {
    tifffile.COMPRESSION.NONE,
    tifffile.COMPRESSION.ADOBE_DEFLATE,
    tifffile.COMPRESSION.DEFLATE,
}
_TIFF_CHUNK = 2**22


class PhotoWarning(UserWarning):
    """What the owner of a photo should know about what was done with it."""


@contextmanager
def photo_warnings() -> Iterator[list[str]]:
    """Collect the text of each `PhotoWarning` of the block; the list is complete after it. Others are shown.

    Python's filters of warnings are global, so only one thread at a time can do this.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhotoWarning)
        yield told
    for warning in caught:
        if issubclass(warning.category, PhotoWarning):
            told.append(str(warning.message))
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


@dataclass(frozen=True)
class Photo:
    """An image file with its transparency, gray mode, bit depth and metadata.

    Attributes:
        pixels: 1 x C x H x W, uint8 or uint16, upright (the EXIF orientation is applied). C is 1 for a gray file,
            which stays one, and 3 for any other.
        alpha_pixels: Transparency, 1 x 1 x H x W, of the same type; None if the file has none.
        icc: The colour profile of an RGB or gray file, unchanged.
        exif: The EXIF tags that describe the photo (camera, time, place, author). The orientation, the thumbnail,
            the pixel sizes and the camera maker's private notes are left out: they may be wrong after restoration.
        dpi: Horizontal and vertical resolution in dots per inch.
    """

    pixels: Tensor
    alpha_pixels: Tensor | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

    @classmethod
    def of(cls, rgb: Tensor, alpha: Tensor | None = None, gray: bool = False, bits: int = 8, **facts: Any) -> Self:
        """Round images in [0, 1] to the pixels of a photo.

        Args:
            rgb: 1 x 3 x H x W.
            alpha: 1 x 1 x H x W.
            gray: Keep the mean of the channels only.
            bits: 8 or 16 a channel.
            facts: `icc`, `exif` and `dpi`.
        """
        dtype = torch.uint16 if bits == 16 else torch.uint8

        def rounded(image: Tensor) -> Tensor:
            return write_unit(image.clone(), torch.empty(image.shape, dtype=dtype))

        pixels = rounded(rgb.mean(1, keepdim=True) if gray else rgb)
        return cls(pixels, None if alpha is None else rounded(alpha), **facts)

    @property
    def gray(self) -> bool:
        """Whether the file has one colour channel."""
        return self.pixels.shape[1] == 1

    @property
    def bits(self) -> int:
        """8 or 16 bits a channel."""
        return 8 * self.pixels.element_size()

    @property
    def rgb(self) -> Tensor:
        """The image, 1 x 3 x H x W, float32 in [0, 1]."""
        return to_unit(self.pixels).expand(-1, 3, -1, -1).contiguous()

    @property
    def alpha(self) -> Tensor | None:
        """The transparency, 1 x 1 x H x W, float32 in [0, 1]; None if there is none."""
        return None if self.alpha_pixels is None else to_unit(self.alpha_pixels)


def read_photo(path: str | Path | MemoryFile, formats: tuple[str, ...] | None = None) -> Photo:
    """Read an image file with its transparency, gray mode, bit depth, colour profile, EXIF data and resolution.

    The image is read as `images.decode` does, but a file of several frames or pages is refused. 16 bits are kept of
    gray files and of RGB TIFF files that are uncompressed or deflated. Other 16-bit colour files are read with 8
    bits, with a `PhotoWarning`.

    White is 65535 in 16-bit files. 32-bit gray files do not say what white is, so it is the smallest of 1, 255 and
    65535 that fits: for integers, none may be larger; for floats, 99 % may be at most ten times as large, so that a
    few values above 1 do not turn the image black. What is brighter than white becomes white.

    Args:
        path: The file.
        formats: The only formats to try, in Pillow's names; None for all that Pillow reads.

    Raises:
        UserError: As `images.decode`, and if the file has several frames or pages.
    """
    with opened(path, single=True, formats=formats) as image:
        deep = image.info[DEEP] and not image.mode.startswith("I")
        tiff = _deep_tiff(path, image.size) if deep and image.format == "TIFF" else None
        values, alpha = tiff or pixels_of(image)
        if deep and values.dtype != np.uint16:
            message = "it has 16 bits a channel in colour, and is read with 8; save it as plain RGB TIFF to keep 16"
            warnings.warn(f"{path}: {message}", PhotoWarning, stacklevel=2)
        icc = None if image.mode in ("CMYK", "LAB", "YCbCr", "HSV") else image.info.get("icc_profile")
        return Photo(
            _tensor(values), None if alpha is None else _tensor(alpha), icc, _exif(image, path), _dpi(image)
        )


def _tensor(values: np.ndarray) -> Tensor:
    """H x W x C -> 1 x C x H x W, in the same memory."""
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def _deep_tiff(path: str | Path | MemoryFile, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None] | None:
    """What `pixels_of` returns, in 16 bits, of a TIFF file in colour; None if tifffile cannot read it.

    Args:
        path: The file.
        size: Its sides in pixels, as Pillow found and bounded them.
    """
    if isinstance(path, MemoryFile):
        path.seek(0)  # Pillow has read it
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if not (isinstance(page, tifffile.TiffPage) and _is_plain(page, size)):
                return None
            values = page.asarray()
            orientation = page.tags.valueof("Orientation", 1)
    except Exception:  # damage
        return None
    values = np.ascontiguousarray(_upright(values, orientation))
    return values[..., :3], values[..., 3:] if values.shape[2] == 4 else None


def _is_plain(page: tifffile.TiffPage, size: tuple[int, int]) -> bool:
    """Whether a page is RGB of 16 bits, uncompressed or deflated, and takes no more memory than its size says.

    A fourth channel must be transparency that the colours are not multiplied by: any other is left to Pillow.

    tifffile inflates whatever a strip holds: a file of 64 MB can hold 64 GB of zeros. Pillow stops by itself.
    """
    shape, chunk = page.shape, math.prod(page.chunks)
    if page.dtype != np.uint16 or len(shape) != 3 or sorted(shape[:2]) != sorted(size):
        return False
    extra = {3: (), 4: (tifffile.EXTRASAMPLE.UNASSALPHA,)}.get(shape[2])
    if page.photometric != tifffile.PHOTOMETRIC.RGB or page.extrasamples != extra:
        return False
    if page.compression not in _TIFF_COMPRESSIONS or chunk > max(math.prod(shape), _TIFF_CHUNK):
        return False
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if page.compression == tifffile.COMPRESSION.NONE:
            break
        page.parent.filehandle.seek(offset)
        deflated = page.parent.filehandle.read(count)
        if len(zlib.decompressobj().decompress(deflated, 2 * chunk + 1)) > 2 * chunk:
            return False
    return True


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8; odd values are as they should be, or turned by quarters and mirrored."""
    turns = {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}.get(orientation, 0)
    turned = np.rot90(values, turns)
    return turned[:, ::-1] if orientation in (2, 4, 5, 7) else turned


def _exif(image: Image.Image, path: str | Path | MemoryFile) -> bytes | None:
    """The EXIF data as `Photo.exif` describes it; None if there is none, and with a warning if it is damaged."""
    try:
        found, kept = image.getexif(), Image.Exif()
        if not found and "exif" in image.info:
            # Of a damaged header, Pillow raises an error only the first time, which was in `opened`.
            Image.Exif().load(image.info["exif"])
        kept.update({tag: found[tag] for tag in _EXIF_TAGS if tag in found})
        for group in (_Group.Exif, _Group.GPSInfo):
            values = {tag: value for tag, value in found.get_ifd(group).items() if tag not in _STALE_TAGS}
            if values:
                kept[group] = values
        return kept.tobytes() if kept else None
    except Exception:  # damaged EXIF data raises nearly any kind
        warnings.warn(f"{path}: its EXIF data is damaged, and is left out", PhotoWarning, stacklevel=3)
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):  # none, or damaged
        return None
    # Files hold dots per inch in 16 bits. Pillow says 1 for a TIFF file that states no resolution.
    return (across, down) if all(math.isfinite(value) and 1 < value < 2**16 for value in (across, down)) else None


def write_photo(path: str | Path | MemoryFile, photo: Photo) -> None:
    """Write a photo to a file whose format its suffix chooses, as `images.write` does.

    16 bits are kept of gray images in PNG and TIFF, and of colour in TIFF. Gray images with transparency are
    written with 8 bits, in PNG and TIFF with a `PhotoWarning`. JPEG, BMP and PPM drop transparency. JPEG, PNG, TIFF
    and WebP keep the colour profile, the EXIF data and the resolution (WebP: only as EXIF data; 16-bit colour:
    without EXIF data).

    Raises:
        UserError: As `images.write`.
    """
    suffix = Path(str(path)).suffix.lower()
    pixels, alpha = photo.pixels, photo.alpha_pixels
    tiff = suffix in (".tif", ".tiff")
    if photo.bits == 16 and tiff and not photo.gray:
        _write_deep_tiff(path, photo)
        return
    deep = photo.bits == 16 and photo.gray and (tiff or suffix == ".png")
    if deep and alpha is not None:
        message = "it is gray with transparency, and is written with 8 bits a channel instead of 16"
        warnings.warn(f"{path}: {message}", PhotoWarning, stacklevel=2)
    if deep and alpha is None:
        picture = Image.fromarray(pixels[0, 0].cpu().numpy())
    else:
        if suffix in (".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"):
            alpha = None
        channels = pixels if alpha is None else torch.cat([pixels, alpha], dim=1)
        values = _to_8_bits(channels)[0].permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(values.squeeze(2) if values.shape[2] == 1 else np.ascontiguousarray(values))
    facts = {"icc_profile": photo.icc, "exif": photo.exif, "dpi": photo.dpi}
    save(path, picture, **{name: value for name, value in facts.items() if value is not None})


def _to_8_bits(pixels: Tensor) -> Tensor:
    return pixels if pixels.dtype == torch.uint8 else to_bytes(to_unit(pixels))


def _write_deep_tiff(path: str | Path | MemoryFile, photo: Photo) -> None:
    """Write 16-bit colour, which Pillow cannot."""
    channels = [photo.pixels] if photo.alpha_pixels is None else [photo.pixels, photo.alpha_pixels]
    values = torch.cat(channels, dim=1)[0].permute(1, 2, 0).cpu().numpy()
    options: dict[str, Any] = {"resolution": photo.dpi, "resolutionunit": "INCH"} if photo.dpi else {}
    kinds = [] if photo.alpha_pixels is None else ["unassalpha"]
    with nullcontext(path) if isinstance(path, MemoryFile) else writing(path) as part:
        tifffile.imwrite(
            part, values, photometric="rgb", extrasamples=kinds, compression="zlib", iccprofile=photo.icc, **options
        )
