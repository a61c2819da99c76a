"""Decode once: the images of a folder are decoded into a store (`data.store`) and read from there.

Decoding a JPEG takes about twenty times as long as copying a crop out of its pixels, and training needs each image
many times. Only images that are new or changed are decoded again.

Memory, measured on two cores, beyond the 300 MB of the libraries: at most 350 MB to build or read 160,000 small
faces out of a folder of 200,000 (mostly their names), and at most 115 MB to build a store of any number of photos
of 2040 x 1356 pixels, because few decoded photos wait at once. Mapped pixels count as the system's file cache.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gan_restore.data.store import CachedImages, Store, open_store
from gan_restore.files import UserError, printable
from gan_restore.images import decode, name_below, to_square


def decode_once(
    folder: Path, paths: list[Path], square: int = 0
) -> tuple[CachedImages, list[int], dict[Path, str]]:
    """Open the store of a folder, after decoding the images that it lacks or that changed.

    An image has changed if the size or the modification time of its file has.

    Args:
        folder: The folder that `paths` lie below; it identifies the store.
        paths: Image files, in the order wanted.
        square: Side of the squares that `images.to_square` cuts; 0 keeps images whole. Each side has its own store.

    Returns:
        The images that could be read; their positions in `paths`; and, for each of the others, why not.

    Raises:
        UserError: If the store cannot be written.
    """
    with open_store(folder, square) as store:
        unreadable = _build(store, folder, paths, square)
        kept = [i for i, path in enumerate(paths) if path not in unreadable]
        images = store.images(name_below(folder, paths[i]) for i in kept)
    return images, kept, unreadable


def _build(store: Store, folder: Path, paths: list[Path], square: int) -> dict[Path, str]:
    """Decode what the store lacks; returns why images could not be read."""
    todo: list[Path] = []
    stamps = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:  # a link that leads nowhere
            unreadable[path] = f"cannot read the image {path}: {error.strerror}"
            continue
        stamps[path] = [stat.st_size, stat.st_mtime_ns]
        if not store.holds(name_below(folder, path), stamps[path]):
            todo.append(path)
    if not todo:
        return unreadable
    with store.appending() as appender, ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = _in_order(pool, lambda path: _try_decode(path, square), todo)
        label = f"decoding {printable(folder.name)} once"
        for path, image in zip(todo, tqdm(decoded, label, len(todo), unit="image", leave=False), strict=True):
            if isinstance(image, str):
                unreadable[path] = image
                store.manifest["images"].pop(name_below(folder, path), None)
            else:
                appender.add(name_below(folder, path), stamps[path], *image)
    return unreadable


def _in_order(pool: ThreadPoolExecutor, function: Callable[[Path], Any], paths: list[Path]) -> Iterator[Any]:
    """`pool.map` that stays at most two results a thread ahead: decoded photos are large."""
    waiting: deque[Future] = deque()
    for path in paths:
        if len(waiting) == 2 * (os.cpu_count() or 1):
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, path))
    while waiting:
        yield waiting.popleft().result()


def _try_decode(path: Path, square: int) -> tuple[np.ndarray, tuple[int, ...]] | str:
    """The image to store, with height and width of the file; or why the file cannot be read."""
    try:
        image = decode(path)
    except UserError as error:
        return str(error)
    return to_square(image, square) if square else image, image.shape[:2]
