"""Decode once: every image of a folder as raw bytes in one memory-mapped file, beside a manifest.

Decoding a JPEG costs some twenty times as much as copying a crop out of its pixels, and training wants each
image many times. The store is rebuilt only for what changed, may be built by two processes at once (one
waits) and may be killed at any moment: bytes that no manifest speaks of are cut off by the next build.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from gan_restore.files import UserError, writing
from gan_restore.images import decode

_FORMAT = 1
_CHUNK = 256  # images between two writes of the manifest: what a killed build loses at most


class CachedImages(Sequence):
    """The images of a store: item i is an H x W x 3 uint8 view of the memory map, never a copy."""

    def __init__(self, pixels: np.ndarray, entries: list[tuple[int, int, int]]) -> None:
        self._pixels, self._entries = pixels, entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> np.ndarray:
        offset, height, width = self._entries[index]
        return self._pixels[offset : offset + height * width * 3].reshape(height, width, 3)


def cache_root() -> Path:
    """Where stores live: `$GAN_RESTORE_CACHE`, else `gan-restore` in the user's cache folder."""
    named = os.environ.get("GAN_RESTORE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "gan-restore"


def decode_once(folder: Path, paths: list[Path]) -> tuple[CachedImages, list[int], dict[Path, str]]:
    """Open the store of `folder`, decoding those of `paths` that it lacks or that changed.

    Args:
        folder: the folder that `paths` lie below; it names the store.
        paths: image files, in the order wanted.

    Returns:
        The images that could be read; their positions in `paths`; and for each of the others, why not.

    Raises:
        UserError: if the store cannot be written.
    """
    store = cache_root() / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    try:
        store.mkdir(parents=True, exist_ok=True)
        with FileLock(store / "lock"):
            manifest, unreadable = _build(store, folder, paths)
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {store}: {error.strerror or error}; "
            "free some space or set GAN_RESTORE_CACHE to another folder"
        ) from None
    pixels = store / manifest["pixels"]
    mapped = np.memmap(pixels, dtype=np.uint8, mode="r") if manifest["end"] else np.zeros(0, np.uint8)
    kept = [i for i, path in enumerate(paths) if path not in unreadable]
    entries = [tuple(manifest["images"][_key(folder, paths[i])][2:]) for i in kept]
    return CachedImages(mapped, entries), kept, unreadable


def _key(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _build(store: Path, folder: Path, paths: list[Path]) -> tuple[dict, dict[Path, str]]:
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
        if known.get(_key(folder, path), [None, None])[:2] != stamps[path]:
            todo.append(path)
    if not todo:
        return manifest, unreadable
    with (store / manifest["pixels"]).open("ab") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        file.truncate(manifest["end"])  # what a killed build wrote after its last manifest
        progress = tqdm(total=len(todo), desc=f"decoding {folder.name} once", unit="image", leave=False)
        for start in range(0, len(todo), _CHUNK):
            chunk = todo[start : start + _CHUNK]
            for path, image in zip(chunk, pool.map(_try_decode, chunk), strict=True):
                progress.update()
                if isinstance(image, str):
                    unreadable[path] = image
                    known.pop(_key(folder, path), None)
                    continue
                known[_key(folder, path)] = [*stamps[path], manifest["end"], *image.shape[:2]]
                file.write(image.data)
                manifest["end"] += image.nbytes
            file.flush()
            os.fsync(file.fileno())
            _write_manifest(store / "manifest.json", manifest)
        progress.close()
    return manifest, unreadable


def _try_decode(path: Path) -> np.ndarray | str:
    try:
        return decode(path)
    except UserError as error:
        return str(error)


def _write_manifest(path: Path, manifest: dict) -> None:
    with writing(path) as part:
        part.write_text(json.dumps(manifest, separators=(",", ":")))


def _open_manifest(store: Path) -> dict:
    """Read the manifest, or start a new one where it is missing, of another format, or mostly of dead bytes."""
    try:
        manifest = json.loads((store / "manifest.json").read_text())
        size = (store / manifest["pixels"]).stat().st_size
        live = sum(height * width * 3 for *_, height, width in manifest["images"].values())
        if manifest["format"] == _FORMAT and size >= manifest["end"] and 2 * live >= manifest["end"]:
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    # A new name: another process may still have the old file mapped.
    for old in store.glob("pixels-*.bin"):
        old.unlink()
    return {"format": _FORMAT, "pixels": f"pixels-{time.time_ns()}.bin", "end": 0, "images": {}}
