"""Command-line arguments read by tyro, its errors as one line. Light: a script that needs no torch loads none."""

import contextlib
import functools
import io
import re
from collections.abc import Callable
from typing import Any

import tyro

from gan_restore.files import UserError


def parse(what: Callable[..., Any], args: list[str], command: str, **options: Any) -> Any:
    """`tyro.cli` for `command` as the user typed it, its boxed errors turned into a `UserError` of one line.

    A function is called, a dataclass is filled in; either is returned. What a function writes to stderr, such
    as its progress bars, is shown: only tyro's own words are held back.
    """
    is_function, shown = not isinstance(what, type), io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            chosen = tyro.cli(_later(what) if is_function else what, args=args, prog=command, **options)
    except SystemExit as stop:
        if stop.code == 0:  # --help was shown
            raise
        raise UserError(f"{_one_line(shown.getvalue())}; see {command} --help") from None
    return chosen() if is_function else chosen


def _later(what: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """A function of the same arguments that does not call `what` yet but gives back the call."""
    return functools.wraps(what)(lambda *values, **named: functools.partial(what, *values, **named))


def _one_line(box: str) -> str:
    """The message of one of tyro's error boxes (or, without UTF-8, ruled lines), and its first suggestion."""
    plain = re.sub(r"\x1b\[[0-9;]*m|│", "", box)
    sections = [" ".join(section.split()) for section in re.split(r"[╭╰]─.*\n?|\s*[─-]{5,}\s*", plain)]
    message, *rest = [section for section in sections if section][0 if "╭" in box else 1 :]  # less the title
    meant = re.search(r"Perhaps you meant: (--[\w-]+)", " ".join(rest))
    return message.rstrip(".") + (f" (did you mean {meant[1]}?)" if meant else "")
