"""Decode once: every image of a folder as raw bytes in one memory-mapped file, beside a manifest.

Decoding a JPEG costs some twenty times as much as copying a crop out of its pixels, and training wants each
image many times. The store is rebuilt only for what changed, may be built by two processes at once (one
waits) and may be killed at any moment: bytes that no manifest speaks of are cut off by the next build.

Memory, measured on two cores, beyond the 300 MB that the libraries take: at most 350 MB to build or to read 160,000
small faces out of a folder of 200,000 (their names, mostly); at most 115 MB to build a store of photos of 2040 x
1356 pixels, however many, since few wait at once. Mapped pixels count as the system's file cache.
"""

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from gan_restore.files import UserError, writing
from gan_restore.images import decode, name_below, to_square

_FORMAT = 2


_SAVE_EVERY = 5.0  # seconds between two writes of the manifest: what a killed build loses at most


class CachedImages(Sequence):
    """The images of a store: item i is an H x W x 3 uint8 view of the memory map, never a copy.

    Args:
        path: the file of pixels.
        entries: N x 5 integers: offset, height and width of an image there; height and width of its file.
    """

    def __init__(self, path: Path, entries: np.ndarray) -> None:
        self._path, self._entries = path, entries
        self._pixels = np.memmap(path, dtype=np.uint8, mode="r") if len(entries) else np.zeros(0, np.uint8)

    def __reduce__(self) -> tuple:
        return CachedImages, (self._path, self._entries)  # another process maps the file, and is not sent it

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> np.ndarray:
        offset, height, width = self._entries[index, :3].tolist()
        return self._pixels[offset : offset + height * width * 3].reshape(height, width, 3)

    def file_size(self, index: int) -> tuple[int, int]:
        """Width and height of the file of image `index`, which differ from the image's if it was squared."""
        height, width = self._entries[index, 3:].tolist()
        return width, height

    def take(self, indices: list[int]) -> "CachedImages":
        """Some of the images, in the order given."""
        return CachedImages(self._path, self._entries[indices])


def cache_root() -> Path:
    """Where stores live: `$GAN_RESTORE_CACHE`, else `gan-restore` in the user's cache folder."""
    named = os.environ.get("GAN_RESTORE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "gan-restore"


def decode_once(
    folder: Path, paths: list[Path], square: int = 0
) -> tuple[CachedImages, list[int], dict[Path, str]]:
    """Open the store of `folder`, decoding those of `paths` that it lacks or that changed.

    Args:
        folder: the folder that `paths` lie below; it names the store.
        paths: image files, in the order wanted.
        square: hold the images as `images.to_square` makes them, with this side; 0 holds them as they are. Each
            side has a store of its own.

    Returns:
        The images that could be read; their positions in `paths`; and for each of the others, why not.

    Raises:
        UserError: if the store cannot be written.
    """
    named = f"{folder.resolve()}{f', squares of {square}' if square else ''}"
    store = cache_root() / hashlib.sha256(named.encode()).hexdigest()[:16]
    try:
        store.mkdir(parents=True, exist_ok=True)
        with FileLock(store / "lock"):
            manifest, unreadable = _build(store, folder, paths, square)
            kept = [i for i, path in enumerate(paths) if path not in unreadable]
            entries = [manifest["images"][name_below(folder, paths[i])][2:] for i in kept]
            # Opened under the lock: once it is free, another build may replace the file; an open map outlives that.
            images = CachedImages(store / manifest["pixels"], np.array(entries, np.int64).reshape(-1, 5))
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {store}: {error.strerror or error}; "
            "free some space or set GAN_RESTORE_CACHE to another folder"
        ) from None
    return images, kept, unreadable


def _build(store: Path, folder: Path, paths: list[Path], square: int) -> tuple[dict, dict[Path, str]]:
    manifest = _open_manifest(store)
    known, todo = manifest["images"], []
    stamps = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:  # a link that leads nowhere
            unreadable[path] = f"cannot read the image {path}: {error.strerror}"
            continue
        stamps[path] = [stat.st_size, stat.st_mtime_ns]
        if known.get(name_below(folder, path), [None, None])[:2] != stamps[path]:
            todo.append(path)
    if not todo:
        return manifest, unreadable
    with (store / manifest["pixels"]).open("ab") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        file.truncate(manifest["end"])  # what a killed build wrote after its last manifest
        saved = time.monotonic()
        decoded = _in_order(pool, lambda path: _try_decode(path, square), todo)
        progress = tqdm(decoded, f"decoding {folder.name} once", len(todo), unit="image", leave=False)
        for path, image in zip(todo, progress, strict=True):
            if isinstance(image, str):
                unreadable[path] = image
                known.pop(name_below(folder, path), None)
                continue
            pixels, file_size = image
            known[name_below(folder, path)] = [*stamps[path], manifest["end"], *pixels.shape[:2], *file_size]
            file.write(pixels.data)
            manifest["end"] += pixels.nbytes
            if time.monotonic() > saved + _SAVE_EVERY:
                _save(store, manifest, file)
                saved = time.monotonic()
        _save(store, manifest, file)
    return manifest, unreadable


def _in_order(pool: ThreadPoolExecutor, function: Callable[[Path], Any], paths: list[Path]) -> Iterator[Any]:
    """`pool.map` that stays at most two results a thread ahead: decoded photos are large."""
    waiting: deque[Future] = deque()
    for path in paths:
        if len(waiting) == 2 * (os.cpu_count() or 1):
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, path))
    while waiting:
        yield waiting.popleft().result()


def _try_decode(path: Path, square: int) -> tuple[np.ndarray, tuple[int, int]] | str:
    """The pixels to store and height and width of the file; or what is wrong with it."""
    try:
        image = decode(path)
    except UserError as error:
        return str(error)
    return to_square(image, square) if square else image, image.shape[:2]


def _save(store: Path, manifest: dict, file: BinaryIO) -> None:
    """Write the manifest, once the pixels that it speaks of are on the disk."""
    file.flush()
    os.fsync(file.fileno())
    with writing(store / "manifest.json") as part:
        part.write_text(json.dumps(manifest, separators=(",", ":")))


def _open_manifest(store: Path) -> dict:
    """Read the manifest, or start a new one where it is missing, of another format, or mostly of dead bytes."""
    try:
        manifest = json.loads((store / "manifest.json").read_text())
        size = (store / manifest["pixels"]).stat().st_size
        live = sum(height * width * 3 for *_, height, width, _, _ in manifest["images"].values())
        if manifest["format"] == _FORMAT and size >= manifest["end"] and 2 * live >= manifest["end"]:
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    # A new name: another process may still have the old file mapped.
    for old in store.glob("pixels-*.bin"):
        old.unlink()
    return {"format": _FORMAT, "pixels": f"pixels-{time.time_ns()}.bin", "end": 0, "images": {}}
