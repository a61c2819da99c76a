import shutil
from pathlib import Path

import pytest
import torch

from gan_restore.files import UserError
from gan_restore.losses.weights import load_weights, weights_path


class Trap:
    def __reduce__(self):
        return print, ("code was run",)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights whose URL needs no network, beside an empty cache in `home`."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    torch.save({"a": torch.ones(3)}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_weights_are_downloaded_once(source: Path, tmp_path: Path) -> None:
    assert load_weights(source.as_uri())["a"].tolist() == [1, 1, 1]
    assert weights_path(source.as_uri()) == tmp_path / "home" / "hub" / "checkpoints" / "net.pth"
    source.unlink()
    assert load_weights(source.as_uri())["a"].tolist() == [1, 1, 1], "from the cache"


def test_a_failed_or_wrong_download_says_what_to_put_where(source: Path, tmp_path: Path) -> None:
    wrong_hash = source.rename(tmp_path / "net-0123abcd.pth")
    for name, reason in ((source.name, "No such file"), (wrong_hash.name, "invalid hash")):
        message = rf"cannot download .*{name}: .*{reason}.*; fetch it elsewhere and put it at .*checkpoints.{name}$"
        with pytest.raises(UserError, match=message):
            load_weights((tmp_path / name).as_uri())
    assert not list((tmp_path / "home" / "hub" / "checkpoints").iterdir()), "nothing unfinished is left"


def test_a_given_file_is_read_without_a_download(source: Path, tmp_path: Path) -> None:
    own = shutil.copy(source, tmp_path / "own-0123abcd.pth")  # its name is the user's, and no hash
    url = "https://nowhere.invalid/net.pth"
    assert load_weights(url, own)["a"].tolist() == [1, 1, 1] and weights_path(url, own) == own
    with pytest.raises(UserError, match=r"no such file: .*absent.pth; fetch https://nowhere.invalid/net.pth"):
        load_weights(url, tmp_path / "absent.pth")


@pytest.mark.parametrize("given", [True, False], ids=["given", "cached"])
@pytest.mark.parametrize("kind", ["trap", "cut", "changed", "empty", "page"])
def test_code_and_damaged_files_are_refused(
    source: Path, kind: str, given: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://nowhere.invalid/bad.pth"
    bad = source.with_name("bad.pth") if given else weights_path(url)
    bad.parent.mkdir(parents=True, exist_ok=True)
    whole = source.read_bytes()
    contents = {
        "cut": whole[: len(whole) // 2],
        "changed": whole.replace(b"X\1\0\0\0a", b"X\1\0\0\0\xff"),  # the name of the tensor is no text any more
        "empty": b"",
        "page": b"<html>not found</html>",
    }
    assert len(set(contents.values()) | {whole}) == 5
    if kind == "trap":
        torch.save({"a": Trap()}, bad)
    else:
        bad.write_bytes(contents[kind])
    message = rf"bad.pth is damaged or holds no weights; delete it and fetch {url} again"
    with pytest.raises(UserError, match=message):
        load_weights(url, bad if given else None)
    assert "code was run" not in capsys.readouterr().out
