"""What the texts state: tables, links, commands and options in the README, docs/ and the notebooks are true."""

import contextlib
import functools
import io
import itertools
import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tables

from gan_restore.cli import COMMANDS, arguments, main
from gan_restore.files import UserError
from gan_restore.recipes.names import RECIPES

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *NOTEBOOKS]
CODE = [
    path
    for folder in ("gan_restore", "benchmarks", "data_scripts")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
PROGRAMS = ("gan-restore", "python data_scripts/", "python benchmarks/", "make", "papermill")
BEGINS = re.compile(rf"({'|'.join(map(re.escape, PROGRAMS))})(?=[\s\w]|$)")
# A command of gan-restore or a script, wherever a text names it.
PROGRAM = re.compile(rf"gan-restore (?:{'|'.join(COMMANDS)})\b|(?:benchmarks|data_scripts)/\w+\.py")
# What a synopsis may hold instead of a real argument.
STAND_INS = {
    "RECIPE": "unet-denoiser",
    "NAME": "div2k",
    "SCALE": "smoke",
    "COMMAND": "train unet-denoiser",
    "DAYS": "30",
}


def prose(path: Path) -> str:
    """The text of a Markdown file, or of a notebook's Markdown cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def inline(path: Path) -> list[str]:
    """What stands between single backticks."""
    return [
        " ".join(code.split())
        for code in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", prose(path), flags=re.S))
    ]


def commands(path: Path) -> list[str]:
    """The commands of a text: lines of its code blocks, and inline code."""
    blocks = re.findall(r"```\w*\n(.*?)```", prose(path), re.S)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in [*lines, *inline(path)] if BEGINS.match(line)]


def examples(path: Path) -> list[str]:
    """The commands after the word "Example:" in a Python file."""
    found = re.findall(r"Example: ((?:gan-restore|python) [^\n\"]*)", path.read_text(encoding="utf-8"))
    return [line for line in found if "{" not in line]


class Parsed(Exception):
    """The arguments were read without an error; the command itself is not run."""


@contextlib.contextmanager
def only_parsing() -> Iterator[set[str]]:
    """Inside, every command stops with `Parsed` as soon as its arguments are read; the set gets its options."""
    real, taken = arguments.tyro.cli, {"--help"}

    def parse_and_stop(what: Any, **options: Any) -> Any:
        taken.update(arguments._options(what))
        if options.get("return_unknown_args"):
            return real(what, **options)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):  # --help
            real(what if isinstance(what, type) else functools.wraps(what)(lambda *_, **__: None), **options)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arguments.tyro, "cli", parse_and_stop)
        yield taken


def check(command: str) -> set[str]:
    """Raise an error if a command does not exist or does not take these arguments. Return the options it takes."""
    words = shlex.split(re.sub(r"\.\.\.|…|\[any recipe field\]|[\[\]]", " ", command), comments=True)
    words = " ".join(STAND_INS.get(word, word) for word in words).split()
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        for word in words[1:]:
            name, is_value, _ = word.partition("=")
            assert re.search(rf"\$\({name}\)" if is_value else rf"^{name}:", makefile, re.M), (
                f"make knows no {name}"
            )
        return set()
    if words[0] == "papermill":
        notebook = json.loads((ROOT / words[1]).read_text())
        cell = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
        for flag, name in itertools.pairwise(words):
            assert flag != "-p" or re.search(rf"^{name}\b", "".join(cell["source"]), re.M), f"no parameter {name}"
        return set()
    with only_parsing() as taken, contextlib.redirect_stderr(errors := io.StringIO()):
        try:
            if words[0] == "gan-restore":
                assert main(words[1:]) == 0, errors.getvalue()
            else:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(sys, "argv", words[1:])
                    runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        except Parsed:
            pass
        except SystemExit as stop:
            assert not stop.code, f"{stop.code} {errors.getvalue()}"
    return taken


@functools.cache
def options_of(program: str) -> set[str]:
    """The options of what `PROGRAM` finds; of training, those of all recipes."""
    command = program if program.startswith("gan-restore") else f"python {program}"
    first = {"gan-restore train": RECIPES, "data_scripts/download_kaggle.py": ["get"]}.get(program, [""])
    return set().union(*(check(f"{command} {argument} --help") for argument in first))


def all_commands() -> dict[str, str]:
    """Every command -> the first file that it stands in."""
    found: dict[str, str] = {}
    for path in [*TEXTS, *CODE]:
        for command in commands(path) if path in TEXTS else examples(path):
            found.setdefault(command, str(path.relative_to(ROOT)))
    return found


def is_complete(command: str, path: str) -> bool:
    """Whether a command is meant to be typed; inline code also names commands without their arguments."""
    return not path.endswith((".md", ".ipynb")) or command not in inline(ROOT / path)


@pytest.mark.parametrize("command", all_commands())
def test_every_command_in_a_text_exists_and_takes_its_arguments(command: str) -> None:
    try:
        check(command)
    except AssertionError as error:
        incomplete = re.search("missing [^-]|no recipe named|needs a value", str(error))
        named_only = incomplete and len(command.split()) <= 3
        if not named_only or is_complete(command, all_commands()[command]):
            raise


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_option_in_a_text_is_one_of_a_command_that_the_text_names(path: Path) -> None:
    codes = [code for code in inline(path) if re.match(r"--\w", code)]
    options = {option for code in codes for option in re.findall(r"(?<!\S)--[\w-]+", code)}
    named = TEXTS if path.name == "CHANGELOG.md" else [path]
    programs = {program for text in named for program in PROGRAM.findall(prose(text))} if options else set()
    assert options <= {"--help"}.union(*map(options_of, programs))


def test_each_command_has_options_of_its_own() -> None:
    assert "--devices" in options_of("gan-restore train") and "--mask" in options_of("gan-restore restore")
    assert not {"--devices", "--mask"} & options_of("gan-restore evaluate")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_placeholder_and_no_dead_link(path: Path) -> None:
    text = prose(path)
    assert not re.search(r"\b[A-Z]+_(TABLE|ADDRESS)\b|\bTODO\b|\bTBD\b|\bFIXME\b", text)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link or link.startswith("attachment:"):
            continue
        target, _, heading = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), f"dead link: {link}"
        if heading:
            page = file.parent.name != "benchmarks"
            assert page or ROOT / "docs" not in path.parents, f"the site has no page with the heading of {link}"
            titles = re.findall(r"^#+ (.*)$", prose(file), re.M)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert heading in anchors, f"no heading #{heading} in {file.name}"


@pytest.mark.parametrize("path", tables.TEXTS, ids=lambda path: path.name)
def test_tables_are_what_the_results_give(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tables.fill(text) == text, "run `make tables`"


@pytest.mark.parametrize("path", sorted(tables.RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_results_hold_no_path_of_a_machine(path: Path) -> None:
    assert not re.search(r'"(/|~|[A-Z]:)', path.read_text())


def test_results_are_copied_and_an_unknown_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    with pytest.raises(UserError, match=r"no summary.json and no results.json"):
        tables.add_results(tmp_path)
    row = {"data": "photos (test)", "n_images": 3, "channel": "RGB", "crop_border": 0, "range": "[0, 1]"}
    row |= {"damage": "blur", "ssim": 0.5, "mse": 0.01}
    rows = [
        {"method": "input", "kind": "input", "psnr": 20.0, **row},
        {"method": "median", "kind": "classical", "psnr": 21.0, **row},
        {"method": "best", "kind": "classical", "psnr": 22.0, **row},
        {"method": "network", "kind": "learned", "psnr": 23.456, **row},
    ]
    course = {"device": "CPU", "jobs": 2, "seed": 0, "versions": {"torch": "2"}, "recipes": {"srgan": rows}}
    course |= {"seconds": 126.0, "training_seconds": {"srgan": 90.0}}
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "summary.json").write_text(json.dumps(course))
    tables.add_results(tmp_path / "smoke")
    text = tables.fill("<!-- table: smoke -->old<!-- end --> in <!-- minutes: smoke -->9<!-- end --> minutes")
    assert (
        "| 20.00 | 22.00 (best) | 23.46 | 2 min |" in text
        and "CPU, 2 notebooks at a time, seed 0, torch 2" in text
        and "old" not in text
    )
    assert text.endswith("<!-- minutes: smoke -->3<!-- end --> minutes")
    assert "| network | learned | 23.46 | 0.5000 |" in tables.fill("<!-- table: smoke srgan --><!-- end -->")
    with pytest.raises(UserError, match="no results of 'pix2pix'"):
        tables.fill("<!-- table: smoke pix2pix --><!-- end -->")
