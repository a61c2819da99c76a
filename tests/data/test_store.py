import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from gan_restore.data.cache import decode_once
from gan_restore.data.store import list_stores, remove_store
from gan_restore.files import UserError


def build(folder: Path, square: int = 0) -> None:
    decode_once(folder, sorted(folder.iterdir())[:5], square)


def test_stores_are_listed_with_source_size_and_last_use(folder: Path, own_cache: Path) -> None:
    build(folder)
    build(folder, square=16)
    build(folder)
    last, first = list_stores()
    assert (last.source, last.square, first.square) == (str(folder.resolve()), 0, 16)
    assert last.used >= first.used and first.size > 5 * 16 * 16 * 3
    assert last.folder.parent == own_cache


def test_a_store_built_before_sources_were_noted_is_kept_and_named(folder: Path) -> None:
    build(folder)
    (store,) = list_stores()
    manifest = json.loads((store.folder / "manifest.json").read_text())
    old = {name: manifest[name] for name in ("format", "pixels", "end", "images")}
    (store.folder / "manifest.json").write_text(json.dumps(old))
    assert list_stores()[0].source == ""
    build(folder)
    (again,) = list_stores()
    assert again.source == str(folder.resolve())
    assert json.loads((again.folder / "manifest.json").read_text())["pixels"] == manifest["pixels"], "not rebuilt"


def test_a_store_is_removed_unless_it_is_being_built(folder: Path) -> None:
    images, _, _ = decode_once(folder, sorted(folder.iterdir()))
    before = np.array(images[3])
    (store,) = list_stores()
    with FileLock(store.folder / "lock"), pytest.raises(UserError, match="being built"):
        remove_store(store.folder)
    remove_store(store.folder)
    assert list_stores() == [] and np.array_equal(images[3], before), "an open store stays readable"
    assert np.array_equal(images.take([3])[0], before) and np.array_equal(images[3:][0], before)
    build(folder)
    assert len(list_stores()) == 1


def test_slices_and_pickles_of_a_store_hold_the_same_images(folder: Path) -> None:
    images, _, _ = decode_once(folder, sorted(folder.iterdir()))
    assert all(map(np.array_equal, images[3:9:2], [images[i] for i in (3, 5, 7)])) and len(images[3:9:2]) == 3
    assert all(map(np.array_equal, pickle.loads(pickle.dumps(images[5:])), images[5:]))
