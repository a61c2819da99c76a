import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gan_restore.files import UserError, printable, read_csv, read_json, write_csv, write_json, writing


def test_a_failed_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(target) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_parents_are_made_and_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b.json", [1])
    assert read_json(tmp_path / "a" / "b.json") == [1]
    with pytest.raises(UserError, match=r"cannot write .*b\.json/c\.json"):
        write_json(tmp_path / "a" / "b.json" / "c.json", 1)


def test_a_file_is_made_with_the_rights_of_the_umask_which_stays_as_it_is(tmp_path: Path, monkeypatch) -> None:
    """The umask belongs to the process: files that another thread makes meanwhile would get wrong rights."""
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
        write_json(tmp_path / "a.json", 1)
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_another_file_that_the_block_cannot_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error, writing(tmp_path / "a.txt") as part:
        shutil.copyfile(tmp_path / "b.txt", part)
    assert str(error.value) == f"cannot write {tmp_path}/a.txt: No such file or directory: {tmp_path}/b.txt"


def test_json_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match="No such file"):
        read_json(tmp_path / "y.json")


def test_csv_keeps_numbers_and_gaps(tmp_path: Path) -> None:
    rows = [{"step": 1.0, "loss": 0.1}, {"step": 2.0, "loss": 1e-9, "val": 3.5}]
    write_csv(tmp_path / "m.csv", rows)
    assert read_csv(tmp_path / "m.csv") == rows


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from gan_restore import recipes
from gan_restore.files import UserError, write_json
from gan_restore.inference.checkpoints import save_generator, save_state
from gan_restore.images import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
target = Path(sys.argv[1]) / "file.png"
for save in (
    lambda: write_json(target, ["x" * 100_000]),
    lambda: save_state(target, {"step": 1, "x": torch.zeros(100_000)}),
    lambda: save_generator(target, torch.nn.Linear(300, 300), recipes.get("unet-denoiser")),
    lambda: write(target, torch.rand(1, 3, 200, 200)),
):
    try:
        save()
    except UserError as error:
        print(error)
"""


def test_a_full_disk_is_a_user_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: the write fails half-way just the same."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True)
    told = done.stdout.splitlines()
    assert len(told) == 4 and all(line.startswith(f"cannot write {tmp_path}/file.png: ") for line in told), (
        done.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_an_error_can_be_printed_whatever_the_file_is_called(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.json")
    with pytest.raises(UserError, match=r"cannot read .*caf\\udce9\.json: No such file") as error:
        read_json(tmp_path / name)
    str(error.value).encode()
    assert printable("naïve.png") == "naïve.png"


def test_a_csv_of_words_is_refused(tmp_path: Path) -> None:
    for text in ("a,b\n1,x\n", "a\n1,2\n"):
        (tmp_path / "m.csv").write_text(text)
        with pytest.raises(UserError, match=r"m\.csv is not a table of numbers"):
            read_csv(tmp_path / "m.csv")
