import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_restore.images import list_images, read, write

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "data_scripts" / "make_scratched_pairs.py"
sys.path.insert(0, str(SCRIPT.parent))  # where worker processes find it too

import make_scratched_pairs  # noqa: E402

LAYOUT = make_scratched_pairs.LAYOUT


@pytest.fixture(autouse=True)
def few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos of two formats, two of them in a subfolder."""
    for i, name in enumerate(["a.jpg", "b.png", "c.JPG", "sub/a.jpg", "sub/d.png"]):
        shade = torch.linspace(0.2, 0.8, 90 + i).expand(3, 70, -1).clone()
        shade[i % 3] *= 0.7  # a colour of its own
        write(tmp_path / "photos" / name, shade)
    return tmp_path / "photos"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    scan = torch.zeros(3, 60, 60)
    scan[:, ::10] = 1
    write(tmp_path / "scans" / "lines.png", scan)
    return tmp_path / "scans"


def run(*args: object) -> int:
    return make_scratched_pairs.main([str(arg) for arg in (*args, *(() if "--workers" in args else WORKERS))])


WORKERS = ("--workers", 1)


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_every_photo_becomes_a_pair_with_its_name(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(photos, out, "--masks") == 0
    names = {path.relative_to(photos).as_posix() for path in list_images(photos)}
    for kind in ("color", "gray"):
        folder = out / LAYOUT / kind
        assert {path.relative_to(folder).as_posix() for path in list_images(folder)} == names
    for name in names:
        clean, damaged = (read(out / LAYOUT / kind / name) for kind in ("color", "gray"))
        mask = read(out / LAYOUT / "masks" / f"{name}.png")
        assert clean.shape == damaged.shape == mask.shape
        assert (clean - read(photos / name)).abs().max() < (0.1 if name.lower().endswith("jpg") else 1e-6)
        assert 0.01 < (mask > 0.1).float().mean() < 0.4
        if name.endswith("png"):
            assert ((clean - damaged).abs().amax(1)[mask[:, 0] == 0] <= 1.01 / 255).all()
            assert (clean - damaged).abs().amax(1)[mask[:, 0] > 0.5].mean() > 0.1
        else:
            assert Image.open(out / LAYOUT / "color" / name).layer[1][1:3] == (1, 1), "colour at full resolution"
    assert f'gan-restore train pix2pix --scale small --data "{out}"' in capsys.readouterr().out


def test_damage_depends_only_on_the_seed_and_the_name(photos: Path, tmp_path: Path) -> None:
    one, two, fewer, other = (tmp_path / name for name in ("one", "two", "fewer", "other"))
    assert run(photos, one, "--masks") == run(photos, two, "--masks", "--workers", 2) == 0
    assert contents(one) == contents(two)
    for name in ("a.jpg", "b.png", "sub/a.jpg"):
        (photos / name).unlink()
    assert run(photos, fewer) == run(photos, other, "--seed", 1) == 0
    left = {name: data for name, data in contents(fewer).items() if "/" in name}
    assert len(left) == 4 and left.items() <= contents(one).items()
    changed = contents(other)
    assert all((changed[name] == data) == ("color" in name) for name, data in left.items())


def test_existing_files_are_kept_and_missing_files_are_made_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(photos, out) == 0
    before, kept = contents(out), out / LAYOUT / "gray" / "b.png"
    (out / LAYOUT / "gray" / "a.jpg").unlink()
    (out / LAYOUT / "color" / "sub" / "d.png").unlink()
    (out / LAYOUT / "gray" / ".a-half.jpg").write_bytes(b"left by a killed process")
    os.utime(kept, (1, 1))
    assert run(photos, out) == 0
    assert contents(out) == before and kept.stat().st_mtime == 1
    assert run(photos, out, "--masks") == 0, "masks may be wanted later"
    fresh = tmp_path / "fresh"
    assert run(photos, fresh, "--masks") == 0 and contents(out) == contents(fresh)


def test_a_killed_run_leaves_only_complete_files_and_can_be_continued(photos: Path, tmp_path: Path) -> None:
    for i in range(150):
        write(photos / f"more_{i:03d}.jpg", torch.full((3, 160, 160), i / 150))
    out, environment = tmp_path / "out", os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, SCRIPT, photos, out, *map(str, WORKERS)], env=environment)
    try:
        while process.poll() is None and len(list(out.rglob("more_*"))) < 3:
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    written, whole = contents(out), [path.relative_to(out).as_posix() for path in list_images(out)]
    assert 3 <= len(whole) < 310
    assert run(photos, out) == run(photos, tmp_path / "fresh") == 0
    after = contents(out)
    assert after == contents(tmp_path / "fresh") and all(after[name] == written[name] for name in whole)


def test_after_ctrl_c_the_same_command_continues(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started, job = [], make_scratched_pairs.Job.run

    def pressed_at_the_third(self: make_scratched_pairs.Job, photo: Path) -> None:
        started.append(photo)
        if len(started) == 3:
            raise KeyboardInterrupt
        job(self, photo)

    monkeypatch.setattr(make_scratched_pairs.Job, "run", pressed_at_the_third)
    assert run(photos, tmp_path / "out") == 130 and "continues from here" in capsys.readouterr().err
    assert len(list_images(tmp_path / "out")) == 4
    assert run(photos, tmp_path / "out") == 0 and len(started) == 3 + 3


def test_overlays_with_and_without_drawn_scratches(photos: Path, scans: Path, tmp_path: Path) -> None:
    laid, both, drawn = (tmp_path / name for name in ("laid", "both", "drawn"))
    assert run(photos, laid, "--overlays", scans, "--no-draw", "--masks") == 0
    assert run(photos, both, "--overlays", scans, "--masks") == run(photos, drawn, "--masks") == 0
    masks = {
        out.name: torch.stack([read(out / LAYOUT / "masks" / f"{name}.png")[:, :1] for name in ("b.png",)])
        for out in (laid, both, drawn)
    }
    assert all((mask > 0.1).any() for mask in masks.values())
    # Overlay lines run right through the photo.
    along = masks["laid"][0, 0, 0] > 0.2
    assert along.all(0).any() or along.all(1).any()
    assert ((masks["both"] > 0.1) | ~(masks["drawn"] > 0.1)).all(), "the same drawing lies below"


def test_size_shrinks_only_larger_photos(photos: Path, tmp_path: Path) -> None:
    assert run(photos, tmp_path / "out", "--size", 91) == 0
    sizes = {name: Image.open(tmp_path / "out" / LAYOUT / "gray" / name).size for name in ("a.jpg", "sub/d.png")}
    assert sizes == {"a.jpg": (90, 70), "sub/d.png": (91, 68)}


def test_different_settings_in_the_same_folder_are_refused(
    photos: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(photos, out, "--overlays", scans) == 0
    before = contents(out)
    overlaid = ("--overlays", scans)
    for name, options in {
        "photos": (scans, out, *overlaid),
        "seed": (photos, out, *overlaid, "--seed", 1),
        "size": (photos, out, *overlaid, "--size", 50),
        "damage": (photos, out, *overlaid, "--no-draw"),
        "overlays": (photos, out),
    }.items():
        assert run(*options) == 2
        assert f"was made with a different {name}" in capsys.readouterr().err
    write(scans / "new.png", torch.zeros(3, 9, 9))
    assert run(photos, out, "--overlays", scans) == 2 and "a different overlays" in capsys.readouterr().err
    assert contents(out) == before


def test_mistakes_are_one_line_and_leave_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "theirs" / LAYOUT / "gray").mkdir(parents=True)
    out = tmp_path / "out"
    for args, message in [
        ((tmp_path / "none", out), "no such folder"),
        ((tmp_path / "empty", out), "no images in"),
        ((photos, photos / "pairs"), "choose another OUT"),
        ((photos, tmp_path / "file"), "cannot read or write"),
        ((photos, tmp_path / "theirs"), "was not made by this script"),
        ((photos, out, "--no-draw"), "add --overlays"),
        ((photos, out, "--overlays", tmp_path / "empty"), "no images in"),
        ((photos, out, "--seed", -1), "--seed must be at least 0"),
        ((photos, out, "--workers", 0), "--workers must be at least 1"),
        ((photos, out, "--sed", 1), "--help"),
        ((photos,), "--help"),
    ]:
        assert run(*args) == 2, args
        said = capsys.readouterr().err
        assert message in said and said.startswith("make_scratched_pairs: ") and said.count("\n") == 1, said
        assert not out.exists()
    assert run("--help") == 0 and "Example: python data_scripts" in capsys.readouterr().out


def test_an_unreadable_photo_is_named_and_the_other_pairs_are_kept(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, out = photos / "bad.jpg", tmp_path / "out"
    bad.write_bytes((photos / "a.jpg").read_bytes()[:300])
    assert run(photos, out) == 2
    assert "bad.jpg" in (said := capsys.readouterr().err) and "repair or remove it" in said
    bad.unlink()
    assert run(photos, out) == 0
    Image.new("P", (9, 9)).save(photos / "x.gif")
    assert run(photos, out) == 2 and "x.gif: GIF" in capsys.readouterr().err
