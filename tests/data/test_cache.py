import multiprocessing
import os
import pickle
import random
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tqdm.auto import tqdm

from gan_restore.data import cache, store
from gan_restore.data.cache import decode_once
from gan_restore.data.datasets import load
from gan_restore.files import UserError
from gan_restore.images import decode, to_square


def test_images_are_decoded_once_and_again_when_they_change(folder: Path, monkeypatch) -> None:
    decoded = []
    real = cache.decode
    monkeypatch.setattr(cache, "decode", lambda path: decoded.append(path.name) or real(path))
    first = load(folder, "all")
    assert len(decoded) == 30
    shutil.copy(folder / "photo_01.png", folder / "photo_00.png")
    again = load(folder, "all")
    assert decoded[30:] == ["photo_00.png"]
    assert torch.equal(again[0], again[1]) and torch.equal(first[5], again[5])


def test_a_build_that_was_killed_is_not_trusted(folder: Path, own_cache: Path) -> None:
    first = [image.clone() for image in load(folder, "all")]
    (pixels,) = own_cache.rglob("pixels-*.bin")
    with pixels.open("ab") as file:  # bytes that no manifest names
        file.write(b"x" * 1000)
    shutil.copy(folder / "photo_01.png", folder / "photo_30.png")
    assert torch.equal(load(folder, "all")[30], first[1])
    with pixels.open("r+b") as file:  # and a store cut short
        file.truncate(100)
    assert all(torch.equal(a, b) for a, b in zip(load(folder, "all"), first, strict=False))
    next(own_cache.rglob("manifest.json")).write_text("{")
    assert all(torch.equal(a, b) for a, b in zip(load(folder, "all"), first, strict=False))


def test_a_cache_that_cannot_be_written_is_said(folder: Path, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GAN_RESTORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="GAN_RESTORE_CACHE"):
        load(folder, "all")


def start_to_build(folder: Path, square: int) -> multiprocessing.Process:
    """Build a store in another process: forked, for loading torch would take longer than the build."""

    def build() -> None:
        tqdm.set_lock(threading.RLock())  # the one it has is shared, and must not die locked
        decode_once(folder, sorted(folder.iterdir()), square)

    process = multiprocessing.get_context("fork").Process(target=build)
    process.start()
    return process


def holds_what_a_fresh_decode_gives(folder: Path, square: int = 0) -> bool:
    paths = sorted(folder.iterdir())
    images, kept, unreadable = decode_once(folder, paths, square)
    fresh = [to_square(decode(path), square) if square else decode(path) for path in paths]
    return kept == list(range(len(paths))) and not unreadable and all(map(np.array_equal, images, fresh))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_build_killed_at_ten_moments_is_never_trusted_wrongly(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(store, "_SAVE_EVERY", 0.03)  # so that kills leave half a store, too
    moments, cut, square = random.Random(0), 0, 24
    for i in range(120):
        shutil.copy(folder / f"photo_{i % 30:02d}.png", folder / f"more_{i}.png")
    started = time.monotonic()
    start_to_build(folder, square).join()
    whole = time.monotonic() - started
    for _ in range(10):
        for i in range(120):  # other pictures of the same names
            shutil.copy(folder / f"photo_{moments.randrange(30):02d}.png", folder / f"more_{i}.png")
        process = start_to_build(folder, square)
        time.sleep(moments.random() * whole)
        process.kill()
        process.join()
        cut += process.exitcode != 0
        assert holds_what_a_fresh_decode_gives(folder, square)
    assert cut, "no kill came during a build"


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_two_processes_build_at_once(folder: Path) -> None:
    processes = [start_to_build(folder, 0) for _ in range(2)]
    assert holds_what_a_fresh_decode_gives(folder)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0] and holds_what_a_fresh_decode_gives(folder)


def test_a_store_is_named_after_the_folder_and_the_square(folder: Path, own_cache: Path) -> None:
    for square in (0, 16, 24):
        assert holds_what_a_fresh_decode_gives(folder, square)
    assert len(list(own_cache.iterdir())) == 3
    images, _, _ = decode_once(folder, [folder / "photo_07.png"], 16)
    assert images[0].shape == (16, 16, 3) and images.file_size(0) == (46, 41)


def test_few_images_are_decoded_ahead_of_the_disk(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    begun, most = [], 0
    with cache.ThreadPoolExecutor(2) as pool:
        for done, _ in enumerate(cache._in_order(pool, begun.append, list(range(100)))):
            time.sleep(0.0005)
            most = max(most, len(begun) - done)
    assert sorted(begun) == list(range(100))
    assert 1 < most <= 5


def test_a_store_is_sent_to_another_process_by_name(folder: Path) -> None:
    images, _, _ = decode_once(folder, sorted(folder.iterdir()))
    sent = pickle.dumps(images)
    assert len(sent) < 5000 and all(map(np.array_equal, images, pickle.loads(sent)))
