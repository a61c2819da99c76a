"""Files become tensors, and tensors become files, here and nowhere else.

Everywhere else an image batch is a `float32` RGB tensor of shape N x 3 x H x W in [0, 1].
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from gan_restore.files import UserError, writing

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


@dataclass(frozen=True)
class Photo:
    """An image file as a tensor, with what a plain RGB tensor would lose.

    Attributes:
        rgb: 1 x 3 x H x W, float32 in [0, 1], upright (the EXIF turn is applied).
        alpha: 1 x 1 x H x W, or None where the file has no transparency.
        gray: whether the file had one channel only; it is then written with one.
        bits: 8 or 16 bits a channel; 16 for gray files only, since Pillow reads 16-bit colour as 8.
        icc: the colour profile of an RGB or gray file, handed on as it is.
    """

    rgb: Tensor
    alpha: Tensor | None = None
    gray: bool = False
    bits: int = 8
    icc: bytes | None = None


def list_images(folder: str | Path) -> list[Path]:
    """All image files below `folder`, sorted by path; hidden files and folders are left out.

    Raises:
        UserError: if there is no such folder, or no image in it.
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
    """What a file below `folder` is called there, with `/` between folders.

    As `path.relative_to(folder).as_posix()`, which for 200,000 files takes many seconds.
    """
    return path.as_posix().removeprefix(folder.as_posix().rstrip("/") + "/")


def _open(path: str | Path) -> Image.Image:
    """Open and fully decode a file, first frame, upright; `UserError` if it is missing, cut short or no image."""
    try:
        image = Image.open(path)
        image.load()
        return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read the image {path}: {error}") from None


def decode(path: str | Path) -> np.ndarray:
    """Read an image file as H x W x 3 uint8, upright; transparency is laid on white, 16 bits become 8.

    Raises:
        UserError: if the file is missing, cut short or not an image.
    """
    image = _open(path)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:  # most files, twice as fast
        return np.array(image.convert("RGB"))
    photo = _photo(image)
    rgb = photo.rgb if photo.alpha is None else photo.rgb * photo.alpha + (1 - photo.alpha)
    return to_bytes(rgb)[0].permute(1, 2, 0).contiguous().numpy()


def read_photo(path: str | Path) -> Photo:
    """Read an image file with its transparency, gray mode and bit depth.

    Raises:
        UserError: if the file is missing, cut short or not an image.
    """
    return _photo(_open(path))


def _photo(image: Image.Image) -> Photo:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit gray (PNG, TIFF) and 32-bit gray
        values = np.asarray(image, dtype=np.float32)
        highest = values.max(initial=0)
        top = 65535.0 if highest > 255 or image.mode.startswith("I;16") else 255.0 if highest > 1 else 1.0
        gray = torch.from_numpy(values / top).clamp(0, 1)[None, None]
        return Photo(gray.expand(-1, 3, -1, -1).contiguous(), gray=True, bits=16 if top > 255 else 8)
    is_gray = image.mode in ("1", "L", "LA")
    icc = None if image.mode == "CMYK" else image.info.get("icc_profile")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        rgba = to_tensor(np.asarray(image.convert("RGBA")))
        return Photo(rgba[:, :3].contiguous(), alpha=rgba[:, 3:].contiguous(), gray=is_gray, icc=icc)
    return Photo(to_tensor(np.asarray(image.convert("RGB"))), gray=is_gray, icc=icc)


def read(path: str | Path) -> Tensor:
    """Read an image file as a batch of one: 1 x 3 x H x W, float32 in [0, 1].

    Example:
        >>> read("photo.jpg").shape
        torch.Size([1, 3, 480, 640])
    """
    return to_tensor(decode(path))


def write(path: str | Path, image: Tensor | Photo) -> None:
    """Write one image (1 x 3 x H x W or 3 x H x W in [0, 1], or a `Photo`); the suffix chooses the format.

    Raises:
        UserError: if the suffix names no image format, or the file cannot be written.
    """
    photo = image if isinstance(image, Photo) else Photo(image if image.ndim == 4 else image[None])
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot write {path}: its suffix names no image format; use .png or .jpg")
    rgb = photo.rgb.mean(1, keepdim=True) if photo.gray else photo.rgb
    if photo.bits == 16 and photo.gray and Path(path).suffix.lower() in (".png", ".tif", ".tiff"):
        values = (rgb[0, 0].clamp(0, 1) * 65535).round().cpu().numpy().astype(np.uint16)
        picture = Image.fromarray(values)
    else:
        channels = [rgb] if photo.alpha is None else [rgb, photo.alpha]
        values = to_bytes(torch.cat(channels, dim=1))[0].permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(values.squeeze(2) if values.shape[2] == 1 else np.ascontiguousarray(values))
    options: dict[str, object] = {"icc_profile": photo.icc} if photo.icc else {}
    if Path(path).suffix.lower() in (".jpg", ".jpeg"):
        picture = picture.convert("L" if photo.gray else "RGB")
        options["quality"] = 95
    with writing(path) as part:
        picture.save(part, **options)


def to_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Turn uint8 H x W x C (array), or uint8 ... x C x H x W (tensor), into a float32 batch in [0, 1]."""
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.array(values, copy=True)).permute(2, 0, 1)
    values = values if values.ndim == 4 else values[None]
    # Contiguous first: a view of H x W x C bytes divides several times slower.
    return values.contiguous().float().div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Round images in [0, 1] to uint8 of the same shape."""
    return images.clamp(0, 1).mul(255).round().to(torch.uint8)


def quantise(images: Tensor) -> Tensor:
    """Round images in [0, 1] to the 256 levels that an 8-bit file can hold."""
    return images.clamp(0, 1).mul(255).round().div(255)


def enlarge_to(images: Tensor, size: int) -> Tensor:
    """Enlarge a batch by bilinear interpolation until its shorter side is `size`, rounded to 8 bits.

    A batch that is large enough already comes back as it is. (FER2013's 48 x 48 faces become 128 x 128 so.)
    """
    height, width = images.shape[-2:]
    if min(height, width) >= size:
        return images
    scale = size / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    return quantise(F.interpolate(images, size=target, mode="bilinear", align_corners=False))


def to_square(image: np.ndarray, side: int) -> np.ndarray:
    """The largest square in the middle of an image (H x W x 3 or H x W, uint8), resized to `side` x `side`.

    Bicubic with antialiasing, as Pillow does it.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = Image.fromarray(image[top : top + short, left : left + short])
    return np.array(middle.resize((side, side), Image.Resampling.BICUBIC))


def group_by_shape(images: list[Tensor], pixels: int = 2**20) -> Iterator[tuple[list[int], Tensor]]:
    """Group single images (1 x 3 x H x W) of equal shape into batches; yields (positions, batch).

    Args:
        pixels: of all images of a batch together, at most; a larger image is a batch of its own.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(position)
    for (*_, height, width), positions in groups.items():
        batch_size = min(16, max(1, pixels // (height * width)))
        for start in range(0, len(positions), batch_size):
            chunk = positions[start : start + batch_size]
            yield chunk, torch.cat([images[i] for i in chunk])
