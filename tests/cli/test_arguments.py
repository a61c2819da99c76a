"""Each kind of mistake in the arguments is one line that says what to do."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from tyro.conf import OmitArgPrefixes, Positional

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError


@dataclass(frozen=True)
class Size:
    width: int = 8
    """In pixels, at most
    100 of them."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1,\nnot {self.width}.")


@dataclass(frozen=True)
class Settings:
    size: OmitArgPrefixes[Size]
    mode: Literal["fast", "slow"] = "fast"


def copy(source: Positional[Path], to: Path, keep_going: bool = False) -> tuple[Path, Path, bool]:
    return source, to, keep_going


def test_a_function_is_called_and_a_dataclass_is_filled_in() -> None:
    assert parse(copy, ["a", "--to", "b", "--keep-going"], "copy") == (Path("a"), Path("b"), True)
    assert parse(Settings, ["--width", "3"], "train", default=Settings(Size())) == Settings(Size(3))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--widht", "3"], "no option --widht (did you mean --width?)"),
        (["--widht=3", "--xyz"], "no option --widht (did you mean --width?), no option --xyz"),
        (["stray"], "unexpected argument stray"),
        (["--mode", "medium"], "--mode cannot be 'medium'; choose one of fast, slow"),
        (["--width"], "--width needs a value"),
        (["--width", "x"], "--width: a whole number is needed, not 'x'"),
        (["--width", "0"], "width must be at least 1, not 0"),
    ],
)
def test_a_mistake_in_the_fields_of_a_dataclass(args: list[str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(Settings, args, "train", default=Settings(Size()))
    assert str(raised.value) == f"{message}; see train --help"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "missing source, --to"),
        (["a", "--kep-going"], "missing --to, and no option --kep-going (did you mean --keep-going?)"),
        (["a", "--to", "b", "--keep_gong"], "no option --keep_gong (did you mean --keep-going?)"),
    ],
)
def test_a_mistake_in_the_parameters_of_a_function(args: list[str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(copy, args, "copy")
    assert str(raised.value) == f"{message}; see copy --help"


def test_none_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    def choose(mode: Literal["auto"] | None = None, file: Path | None = None) -> tuple[object, object]:
        """Choose."""
        return mode, file

    assert parse(choose, [], "choose") == (None, None)
    with pytest.raises(UserError, match=r"^--mode cannot be 'none'; choose one of auto; see"):
        parse(choose, ["--mode", "none"], "choose")
    with pytest.raises(SystemExit):
        parse(choose, ["--help"], "choose")
    told = capsys.readouterr().out
    assert "--mode {auto}" in told and "--file PATH" in told


def test_a_paragraph_of_the_help_is_wrapped_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    def listen(host: str = "here", port: int = 0) -> None:
        """Listen on a port, as
        /api/openapi.json describes.

        Example: listen

        Args:
            host: The address; with
                0.0.0.0, every machine
                of the network reaches it.
            port: The port,
                "0" takes a free one.
        """

    with pytest.raises(SystemExit):
        parse(listen, ["--help"], "listen")
    told = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert told[2:5] == ["Listen on a port, as /api/openapi.json describes.", "", "Example: listen"]
    assert 'The port, "0" takes a free one. (default: 0)' in "\n".join(told)
    assert "The address; with 0.0.0.0, every machine of the network" in " ".join(" ".join(told).split())


def test_what_is_said_of_a_field_is_wrapped_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Settings, ["--help"], "train", default=Settings(Size()))
    assert "In pixels, at most 100 of them. (default: 8)" in capsys.readouterr().out


def test_a_file_whose_name_looks_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-weird.jpg", "--weird.jpg"):
        Path(name).touch()
        with pytest.raises(UserError) as raised:
            parse(copy, [name, "--to", "b"], "copy")
        assert str(raised.value) == f"{name} looks like an option; for the file of this name, write ./{name}"


def test_an_error_of_the_function_itself_is_passed_on() -> None:
    def fail() -> None:
        raise ValueError("a defect, not a mistake of the user")

    with pytest.raises(ValueError, match="a defect"):
        parse(fail, [], "fail")


def test_version_and_help_import_no_torch() -> None:
    program = (
        "import sys; from gan_restore.cli import main; "
        "assert main(['--version']) == main(['--help']) == 0; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("gan-restore ") and done.stdout.splitlines()[-1] == "False"
