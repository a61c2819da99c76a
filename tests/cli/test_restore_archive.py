"""`gan-restore restore --ray` with a worker in this process; tests/inference/test_cluster.py starts a cluster."""

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch
from support import tiny

from gan_restore.cli import main, restore_archive
from gan_restore.images import read, write
from gan_restore.inference import Compute, load_restorer, save_generator
from gan_restore.inference.cluster import Restored, Settings, Worker


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    recipe = tiny()
    save_generator(tmp_path / "best.safetensors", recipe.generator(), recipe)
    return tmp_path / "best.safetensors"


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("1.png", "below/2.png"):
        write(tmp_path / "album" / name, torch.rand(1, 3, 12, 16))
    (tmp_path / "album" / "text.png").write_text("no photo")
    return tmp_path / "album"


def restore(photos: Path | str, checkpoint: Path, out: Path | str, *more: str) -> int:
    args = ["restore", str(photos), "--checkpoint", str(checkpoint), "--out", str(out), "--device", "cpu"]
    return main([*args, "--ray", "local", *more])


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The photos that reached a worker, which is in this process."""
    sources: list[str] = []

    def work(targets: dict[str, str], address: str, settings: Settings) -> Iterator[Restored]:
        assert address == "local"
        worker = Worker(settings)
        for target, source in targets.items():
            sources.append(source)
            yield Restored(**worker({"source": source, "target": target}))

    monkeypatch.setattr(restore_archive, "restore_archive", work)
    return sources


def test_a_folder_is_restored_into_a_url_and_failures_are_named(
    album: Path, checkpoint: Path, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = fsspec.filesystem("memory")
    assert restore(album, checkpoint, "memory://archive", "--strength", "0.5") == 2
    assert len(done) == 3
    said = capsys.readouterr()
    assert "restored 2 photos into memory://archive" in said.out
    assert f"file://{album}/text.png: " in said.err and "left out 1 of 3" in said.err
    assert sorted(out.find("/archive")) == ["/archive/1.png", "/archive/below/2.png"]
    out.get_file("/archive/below/2.png", str(album.parent / "result.png"))
    wanted = load_restorer(checkpoint, Compute("cpu"), strength=0.5)(read(album / "below" / "2.png"))
    assert (read(album.parent / "result.png") - wanted).abs().max() < 0.51 / 255


def test_a_photo_whose_suffix_is_of_no_format_becomes_png(album: Path, checkpoint: Path, done: list[str]) -> None:
    (album / "1.png").rename(album / "1.HEIC")
    assert restore(album / "1.HEIC", checkpoint, album.parent / "out") == 0
    assert (album.parent / "out" / "1.png").exists()


def test_what_is_restored_is_skipped_or_replaced(
    album: Path, checkpoint: Path, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = album.parent / "out"
    for more, expected in (((), 3), ((), 1), (("--overwrite",), 3)):
        done.clear()
        assert restore(album, checkpoint, out, *more) == 2
        assert len(done) == expected
    (album / "text.png").unlink()
    assert restore(album, checkpoint, out) == 0
    assert "restored 0 photos" in (said := capsys.readouterr().out) and "skipped 2 photos" in said


def test_after_ctrl_c_it_says_how_far_it_came(
    album: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def until_the_second(targets: dict[str, str], address: str, settings: Settings) -> Iterator[Restored]:
        yield Restored(next(iter(targets.values())), "", "")
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_archive, "restore_archive", until_the_second)
    assert restore(album, checkpoint, album.parent / "out") == 130
    said = "Stopped; restored 1 of 3 photos. The same command continues from there.\n"
    assert capsys.readouterr().out == said


def test_a_mistake_is_told_before_any_worker_starts(
    album: Path, checkpoint: Path, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for args in (["--strength", "7"], ["--mask", "nothing.png"]):
        assert restore(album, checkpoint, album.parent / "out", *args) == 2
    assert restore(album / "none*", checkpoint, album.parent / "out") == 2
    assert main(["restore", str(album), "--enhance", "auto", "--out", "out", "--ray", "local"]) == 2
    assert not done
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4 and "no photo" in said[2] and "--enhance auto is for one machine" in said[3]


def test_a_missing_package_is_named(
    album: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert restore(album, checkpoint, album.parent / "out") == 2
    assert "the package ray: pip install '.[cluster]' in the folder of gan-restore" in capsys.readouterr().err
