from pathlib import Path

import pytest
import torch

from gan_restore.files import UserError
from gan_restore.losses.weights import read_weights, weights_file


class Trap:
    def __reduce__(self):
        return print, ("code was run",)


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A file of weights behind an address that needs no network."""
    torch.save({"a": torch.ones(3)}, tmp_path / "net.pth")
    return (tmp_path / "net.pth").as_uri()


def test_weights_are_fetched_once(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    cached = weights_file(source)
    assert cached == tmp_path / "home" / "hub" / "checkpoints" / "net.pth"
    assert read_weights(cached)["a"].tolist() == [1, 1, 1]
    (tmp_path / "net.pth").unlink()
    assert weights_file(source) == cached, "the cache needs no source any more"


def test_a_failed_or_wrong_download_says_what_to_put_where(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "net.pth").rename(tmp_path / "net-0123abcd.pth")
    target = tmp_path / "home" / "hub" / "checkpoints"
    for name in ("net.pth", "net-0123abcd.pth"):  # a missing file, a wrong checksum
        with pytest.raises(UserError, match=rf"cannot download .*{name}: .* put it at .*checkpoints.{name}"):
            weights_file((tmp_path / name).as_uri())
    assert list(target.iterdir()) == [], "nothing half fetched is trusted later"


def test_a_given_path_must_be_there(source: str, tmp_path: Path) -> None:
    assert weights_file("https://nowhere.invalid/net.pth", tmp_path / "net.pth") == tmp_path / "net.pth"
    with pytest.raises(UserError, match=r"no such file: .*absent.pth; fetch https://nowhere.invalid/net.pth"):
        weights_file("https://nowhere.invalid/net.pth", tmp_path / "absent.pth")


def test_code_and_rubbish_are_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (tmp_path / "net.pth").read_bytes()
    torch.save({"a": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    for name in ("trap", "cut", "empty", "page"):
        with pytest.raises(UserError, match=rf"{name}.pth is cut short or no file of weights; fetch it again"):
            read_weights(tmp_path / f"{name}.pth")
    assert "code was run" not in capsys.readouterr().out
