import os
from pathlib import Path

from gan_restore.cli import main
from gan_restore.data.datasets import load
from gan_restore.data.store import list_stores


def test_the_cache_is_shown_and_cleared(folder: Path, fer_csv: Path, own_cache: Path, capsys) -> None:
    load(folder, "all")
    load(folder, "all", square=16)
    load(fer_csv, "all")
    assert main(["cache"]) == 0
    told = capsys.readouterr().out
    assert f"{folder.resolve()}, squares of 16 pixels" in told and str(fer_csv.resolve()) in told
    assert f"3 stores, 0.2 MB, in {own_cache}" in told
    assert main(["cache", str(folder), "--clear"]) == 0
    assert "2 stores, 0.2 MB, deleted from" in capsys.readouterr().out
    assert [store.source for store in list_stores()] == [str(fer_csv.resolve())]
    assert len(load(folder, "all")) == 30 and len(list_stores()) == 2


def test_stores_unused_for_days_are_cleared(folder: Path, fer_csv: Path, capsys) -> None:
    load(folder, "all")
    load(fer_csv, "all")
    old = next(store for store in list_stores() if store.source == str(folder.resolve()))
    os.utime(old.folder / "manifest.json", (old.used - 31 * 24 * 3600,) * 2)
    assert main(["cache", "--unused-for", "30", "--clear"]) == 0
    assert "1 store, " in capsys.readouterr().out
    assert [store.source for store in list_stores()] == [str(fer_csv.resolve())]


def test_an_empty_cache_and_a_source_without_a_store(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("GAN_RESTORE_CACHE", str(tmp_path / "none"))
    assert main(["cache", "--clear"]) == 0
    assert "0 stores, 0.0 MB" in capsys.readouterr().out
    assert main(["cache", str(tmp_path)]) == 2
    assert "the cache holds nothing of" in capsys.readouterr().err
