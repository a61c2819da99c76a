"""Stores: decoded images as raw bytes in one memory-mapped file, beside a manifest, in the cache folder.

A store may be built by two processes at once (one waits) and may be killed at any moment: bytes that no manifest
names are cut off by the next build.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from filelock import FileLock, Timeout

from gan_restore.files import UserError, printable, writing

_FORMAT = 2
_MANIFEST = "manifest.json"
_SAVE_EVERY = 5.0  # seconds between two writes of the manifest: what a killed build loses at most


class CachedImages(Sequence[np.ndarray]):
    """The images of a store. Item i is a view of the memory map, uint8 H x W x 3 or, in a gray store, H x W.

    Args:
        path: The file of pixels.
        entries: N x 5 integers: offset, height and width of an image in that file; height and width of its source.
        channels: 3, or 1 in a gray store.
        pixels: The content of the file if it is mapped already; the file itself may be gone.
    """

    def __init__(
        self, path: Path, entries: np.ndarray, channels: int = 3, pixels: np.ndarray | None = None
    ) -> None:
        self._path, self._entries, self._channels = path, entries, channels
        if pixels is None:
            pixels = np.memmap(path, dtype=np.uint8, mode="r") if len(entries) else np.zeros(0, np.uint8)
        self._pixels = pixels

    def __reduce__(self) -> tuple:
        """Pickle the path of the file, not its pixels: another process maps the file itself."""
        return CachedImages, (self._path, self._entries, self._channels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "CachedImages": ...
    def __getitem__(self, index: int | slice) -> "np.ndarray | CachedImages":
        """Image `index`, or the images of a slice."""
        if isinstance(index, slice):
            return CachedImages(self._path, self._entries[index], self._channels, self._pixels)
        offset, height, width = self._entries[index, :3].tolist()
        shape = (height, width, 3) if self._channels == 3 else (height, width)
        return self._pixels[offset : offset + height * width * self._channels].reshape(shape)

    def file_size(self, index: int) -> tuple[int, int]:
        """Width and height of the source of image `index`, which was possibly cut to a square."""
        height, width = self._entries[index, 3:].tolist()
        return width, height

    def take(self, indices: list[int]) -> "CachedImages":
        """The images at `indices`, in that order."""
        return CachedImages(self._path, self._entries[indices], self._channels, self._pixels)


def cache_root() -> Path:
    """The folder of all stores: `$GAN_RESTORE_CACHE`, else `gan-restore` in the user's cache folder."""
    named = os.environ.get("GAN_RESTORE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "gan-restore"


@dataclass
class Store:
    """An open store; `open_store` makes one.

    Attributes:
        folder: The store's folder.
        manifest: What the store holds. `images` maps a name to the size and time stamp of its source and to its
            entry in `CachedImages`, in the order in which the images were added.
    """

    folder: Path
    manifest: dict[str, Any]

    def holds(self, name: str, stamp: list[int]) -> bool:
        """Whether the store has the image `name` from a source of this size and time stamp."""
        return self.manifest["images"].get(name, [None, None])[:2] == stamp

    def images(self, names: Iterable[str]) -> CachedImages:
        """The images of these names. They stay valid when another process rebuilds the store."""
        entries = [self.manifest["images"][name][2:] for name in names]
        path = self.folder / self.manifest["pixels"]
        return CachedImages(path, np.array(entries, np.int64).reshape(-1, 5), self.manifest["channels"])

    def clear(self) -> None:
        """Forget all images."""
        # The file gets a new name because another process may still have the old one mapped.
        for old in self.folder.glob("pixels-*.bin"):
            old.unlink()
        kept = {name: self.manifest[name] for name in ("format", "source", "square", "channels")}
        self.manifest = kept | {"pixels": f"pixels-{time.time_ns()}.bin", "end": 0, "images": {}}

    @contextmanager
    def appending(self) -> Iterator["Appender"]:
        """Open the store to add images. Those of a failed block are lost, except what was saved meanwhile."""
        with (self.folder / self.manifest["pixels"]).open("ab") as file:
            file.truncate(self.manifest["end"])  # what a killed build wrote after its last manifest
            appender = Appender(self, file)
            yield appender
            appender.save()


class Appender:
    """Adds images to a store, and saves the manifest every few seconds."""

    def __init__(self, store: Store, file: BinaryIO) -> None:
        self._store, self._file, self._saved = store, file, time.monotonic()

    def add(self, name: str, stamp: list[int], image: np.ndarray, source_shape: tuple[int, ...]) -> None:
        """Add or replace an image.

        Args:
            name: Its name in the store.
            stamp: Size in bytes and modification time in nanoseconds of the source.
            image: uint8 H x W x 3, or H x W in a gray store.
            source_shape: Height and width of the source.
        """
        manifest = self._store.manifest
        manifest["images"][name] = [*stamp, manifest["end"], *image.shape[:2], *source_shape]
        self._file.write(np.ascontiguousarray(image).data)
        manifest["end"] += image.nbytes
        if time.monotonic() > self._saved + _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the manifest, after the pixels that it names are on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        _write_manifest(self._store)
        self._saved = time.monotonic()


@contextmanager
def open_store(source: Path, square: int = 0, channels: int = 3) -> Iterator[Store]:
    """Open the store of a source, locked against other processes while the block runs.

    Args:
        source: The folder or file that the images come from.
        square: Side of the squares that the images are cut to, 0 if they are not. Each side has its own store.
        channels: 3, or 1 for a gray store.

    Raises:
        UserError: If the store cannot be written.
    """
    place = printable(source.resolve())
    named = f"{place}, squares of {square}" if square else place
    folder = cache_root() / hashlib.sha256(named.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            store = Store(folder, {"format": _FORMAT, "source": place, "square": square, "channels": channels})
            manifest = _read_manifest(folder, channels)
            if manifest is None:
                store.clear()
            else:
                is_known = "source" in manifest  # not in a store that was built before sources were noted
                store.manifest = manifest | store.manifest
                if not is_known:
                    _write_manifest(store)
            yield store
            if (folder / _MANIFEST).exists():
                now = time.time_ns()  # the time of the last use; without it the kernel's coarser clock is taken
                os.utime(folder / _MANIFEST, ns=(now, now))
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {folder}: {error.strerror or error}; "
            "free some space (see gan-restore cache) or set GAN_RESTORE_CACHE to another folder"
        ) from None


def _write_manifest(store: Store) -> None:
    with writing(store.folder / _MANIFEST) as part:
        part.write_text(json.dumps(store.manifest, separators=(",", ":")))


def _read_manifest(folder: Path, channels: int) -> dict[str, Any] | None:
    """The manifest of a store; None if it is missing, damaged, of another format, or names few of its bytes."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        size = (folder / manifest["pixels"]).stat().st_size
        live = sum(height * width * channels for *_, height, width, _, _ in manifest["images"].values())
        if manifest["format"] == _FORMAT and size >= manifest["end"] and 2 * live >= manifest["end"]:
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


@dataclass(frozen=True)
class StoreSummary:
    """What `gan-restore cache` shows of a store.

    Attributes:
        folder: The store's folder.
        source: The folder or file that the images come from; empty if the store does not say.
        square: Side of the squares that the images were cut to; 0 if they were not.
        size: Bytes on the disk.
        used: Time of the last use, in seconds since 1970.
    """

    folder: Path
    source: str
    square: int
    size: int
    used: float


def list_stores() -> list[StoreSummary]:
    """The stores in the cache folder, last used first."""
    folders = [lock.parent for lock in cache_root().glob("*/lock")]
    return sorted(map(_summary, folders), key=lambda store: store.used, reverse=True)


def _summary(folder: Path) -> StoreSummary:
    file = folder / _MANIFEST
    try:
        manifest = json.loads(file.read_text())
        source, square, used = manifest.get("source", ""), manifest.get("square", 0), file.stat().st_mtime
    except (OSError, ValueError, AttributeError):  # its first build goes on, or was killed
        source, square, used = "", 0, folder.stat().st_mtime
    return StoreSummary(folder, source, square, sum(path.stat().st_size for path in folder.iterdir()), used)


def remove_store(folder: Path) -> None:
    """Delete a store. A process that reads its images can go on; the next one builds the store again.

    Raises:
        UserError: If a process is building the store, or it cannot be deleted.
    """
    try:
        with FileLock(folder / "lock", timeout=0):
            shutil.rmtree(folder)
    except Timeout:
        raise UserError(f"the store {folder} is being built by another process; try again later") from None
    except OSError as error:
        raise UserError(f"cannot delete the store {folder}: {error.strerror or error}") from None
