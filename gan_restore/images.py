"""Image files become tensors and tensors become image files, here and in `photos` only.

Everywhere else an image batch is a `float32` RGB tensor of shape N x 3 x H x W in [0, 1].
"""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gan_restore.files import MemoryFile, UserError, writing

DEEP = "16 bits"
"""The key, among the `info` of an image that `opened` gives, of whether its file has 16 bits a channel."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}

_CAMERA_RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}
_HEIC = {".heic", ".heif", ".hif"}
_NOT_READ = {".avif": "AVIF"} | dict.fromkeys(_HEIC, "HEIC") | dict.fromkeys(_CAMERA_RAW, "camera RAW")
"""The formats of photos that Pillow lacks (AVIF: in some versions), by suffix."""

# Pillow warns of damaged metadata, and of large images before it refuses larger ones. Here a file is either read or
# refused with a `UserError`. The filter is global because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def list_images(folder: str | Path) -> list[Path]:
    """The image files below `folder` at any depth, sorted by path. Hidden files and folders are left out.

    Raises:
        UserError: If there is no such folder, it cannot be read, or it holds no image.
    """
    found = [path for path in list_files(folder) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f"no images in {folder}; looked for {', '.join(sorted(SUFFIXES))} at any depth")
    return found


def list_files(folder: str | Path) -> list[Path]:
    """All files below `folder` at any depth, sorted by path. Hidden files and folders are left out.

    Raises:
        UserError: If there is no such folder, or it cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; give a folder of images")
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot look into the folder {error.filename}: {error.strerror}") from None


def writable_names(names: Iterable[str]) -> list[str]:
    """The names of the results of photos: unchanged if `write` knows a format by the suffix, and .png otherwise.

    NAME.SUFFIX becomes NAME.png, or NAME.SUFFIX.png if another photo's result has that name.

    Args:
        names: Different paths.

    Example:
        >>> writable_names(["a.JPG", "b.HEIC", "c.HEIC", "c.png", "d"])
        ['a.JPG', 'b.png', 'c.HEIC.png', 'c.png', 'd.png']
    """
    results = list(names)
    taken = set(results)
    for index, name in enumerate(results):
        suffix = PurePath(name).suffix
        if suffix.lower() not in SUFFIXES:
            short = f"{name.removesuffix(suffix)}.png"
            results[index] = f"{name}.png" if short in taken else short
            taken.add(results[index])
    return results


def name_below(folder: Path, path: Path) -> str:
    """The path of a file relative to `folder`, with `/` between folders.

    The same as `path.relative_to(folder).as_posix()`, which takes many seconds for 200,000 files.

    Example:
        >>> name_below(Path("photos"), Path("photos/2024/a.png"))
        '2024/a.png'
    """
    return path.as_posix().removeprefix(folder.as_posix().rstrip("/") + "/")


@contextmanager
def opened(
    path: str | Path | MemoryFile, single: bool = False, formats: tuple[str, ...] | None = None
) -> Iterator[Image.Image]:
    """Open and decode an image file: first frame, upright. An error, in the block too, becomes a `UserError`.

    Args:
        path: The file.
        single: Refuse a file of several frames or pages.
        formats: The only formats to try, in Pillow's names; None for all that Pillow reads.

    Raises:
        UserError: As `decode`, and as `single` says.
    """
    try:
        with Image.open(path, formats=formats) as image:
            if image.format == "TIFF" and Path(str(path)).suffix.lower() in _CAMERA_RAW:
                raise UnidentifiedImageError  # most are TIFF files in which Pillow finds the thumbnail
            # Phones write a JPEG with further views of the same photo as MPO. `is_animated` looks for a second
            # frame; `n_frames` reads all, which can take a large TIFF file half an hour.
            if single and image.format != "MPO" and getattr(image, "is_animated", False):
                message = "it has several frames or pages; save the one to restore as an image of its own"
                raise UserError(f"cannot read the image {path}: {message}")
            deep = ";16" in str(image.tile)  # loading forgets it
            image.load()
            image.info[DEEP] = deep
            _turn_upright(image)
            yield image
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except UnidentifiedImageError:
        kind = _NOT_READ.get(Path(str(path)).suffix.lower())
        reason = f"{kind} is not read; export it as JPEG, PNG or TIFF" if kind else "it is damaged or not an image"
        raise UserError(f"cannot read the image {path}: {reason}") from None
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


def decode(path: str | Path | MemoryFile, formats: tuple[str, ...] | None = None) -> np.ndarray:
    """Read an image file as H x W x 3 uint8.

    The first frame is read and turned upright by its EXIF orientation. Where damaged EXIF data hides the
    orientation, the image is read as it is stored. Transparent parts are laid on white. 16 bits become 8 (see
    `photos.read_photo`). `formats` is that of `opened`.

    Raises:
        UserError: If the file is missing, damaged or not an image, or has more pixels than Pillow's limit against
            decompression bombs (178,956,970).
    """
    with opened(path, formats=formats) as image:
        if image.mode in ("L", "RGB") and "transparency" not in image.info:  # most files, twice as fast
            return np.array(image.convert("RGB"))
        values, alpha = pixels_of(image)
    if alpha is None and values.dtype == np.uint8:
        return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
    unit = to_unit(torch.from_numpy(values))
    if alpha is not None:
        opaque = to_unit(torch.from_numpy(alpha))
        unit = unit * opaque + (1 - opaque)
    return to_bytes(unit).expand(-1, -1, 3).contiguous().numpy()


def pixels_of(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels of an opened image, H x W x 1 if it is gray and H x W x 3 else, and its transparency, H x W x 1.

    Both are uint8; gray images of more than 8 bits are uint16. `photos.read_photo` says what white is in them.
    """
    if image.mode.startswith("I") or image.mode == "F":
        values = _deep_gray(image)
        # Of the TIFF files in which 0 is white, Pillow inverts only those of 8 bits and fewer.
        is_negative = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation) == 0
        return ~values if is_negative else values, None
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        values = np.array(image.convert("LA" if gray else "RGBA"))
        return values[..., :-1], values[..., -1:]
    mode = "L" if gray else "RGB"
    values = np.array(image if image.mode == mode else image.convert(mode))
    return values.reshape(*values.shape[:2], -1), None


def _deep_gray(image: Image.Image) -> np.ndarray:
    """The pixels of a gray image of 16 or 32 bits, H x W x 1, uint8 if its white is 255 and uint16 else."""
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)[..., None]
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    white = _white(image, values)
    unit = torch.from_numpy(values / white).clamp_(0, 1)[..., None]
    return write_unit(unit, torch.empty(unit.shape, dtype=torch.uint8 if white == 255 else torch.uint16)).numpy()


def _white(image: Image.Image, values: np.ndarray) -> float:
    """The value that stands for white in a gray image of 32 bits; `photos.read_photo` says how it is found."""
    if image.format == "PPM" and image.mode == "I":  # a PGM file of 16 bits: Pillow scales its white to this
        return 65535.0
    peak = values.max(initial=0) if image.mode == "I" else np.quantile(values, 0.99) / 10
    return 1.0 if peak <= 1 else 255.0 if peak <= 255 else 65535.0


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


def write(path: str | Path, image: Tensor) -> None:
    """Write an image to a file whose format its suffix chooses: RGB, 8 bits a channel.

    PNG, TIFF, BMP and WebP (lossless) keep every pixel. JPEG is written at quality 95, and GIF has 256 colours.

    Args:
        path: The file to write, replaced if it exists.
        image: 1 x 3 x H x W or 3 x H x W in [0, 1].

    Raises:
        UserError: If the suffix names no image format, the format cannot hold the image (WebP holds at most 16383
            pixels a side), or the file cannot be written.
    """
    values = to_bytes(image if image.ndim == 3 else image[0]).permute(1, 2, 0).cpu().numpy()
    save(path, Image.fromarray(np.ascontiguousarray(values)))


def save(path: str | Path | MemoryFile, picture: Image.Image, **options: Any) -> None:
    """Write a picture of Pillow's as `write` does, with options of Pillow's writer.

    Raises:
        UserError: As `write`.
    """
    suffix = Path(str(path)).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"cannot write {path}: its suffix names no image format; use .png or .jpg")
    if suffix in (".jpg", ".jpeg"):
        options["quality"] = 95
    if suffix == ".webp":
        options |= {"lossless": True, "exact": True}  # exact: colours under transparent pixels, too
    try:
        with nullcontext(path) if isinstance(path, MemoryFile) else writing(path) as part:
            picture.save(part, **options)
    except ValueError as error:  # from Pillow, for an image or EXIF data that the format cannot hold
        raise UserError(f"cannot write {path}: {error}; choose another format") from None


def to_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Turn 8-bit pixels into a float32 batch N x C x H x W in [0, 1].

    Args:
        values: A uint8 array H x W x C, or a uint8 tensor C x H x W or N x C x H x W.

    Raises:
        ValueError: If an array has another number of axes, as a gray one may.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 3:
            raise ValueError(f"an array of pixels is H x W x 3, not {' x '.join(map(str, values.shape))}")
        values = torch.from_numpy(np.array(values, copy=True)).permute(2, 0, 1)
    values = values if values.ndim == 4 else values[None]
    # Contiguous first: a view of H x W x C bytes divides several times slower.
    return to_unit(values.contiguous())


def to_bytes(images: Tensor) -> Tensor:
    """Round images of any shape, in [0, 1], to uint8 from 0 to 255 of the same shape."""
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)


def to_unit(images: Tensor) -> Tensor:
    """Turn images of any shape, uint8, uint16 or float32 in [0, 1], into float32. Floats are not copied."""
    return images.float() if images.is_floating_point() else images.float().div_(torch.iinfo(images.dtype).max)


def write_unit(images: Tensor, target: Tensor) -> Tensor:
    """Copy float images in [0, 1] into a tensor of the same shape, rounded if that is uint8 or uint16.

    To save memory, `images` may be overwritten.

    Returns:
        The target.
    """
    if not target.is_floating_point():
        images = images.clamp_(0, 1).mul_(torch.iinfo(target.dtype).max).round_()
    return target.copy_(images)


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
