"""Command-line arguments read by tyro, with each mistake reported in one line. Imports no torch."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

# tyro's public interface only prints its errors, as boxes of several lines. Its hook passes the same errors as
# objects. The hook is private, so pyproject.toml bounds tyro's version from above.
from tyro import _errors as errors
from tyro import _strings as strings  # private, too: see _join_lines

from gan_restore.files import UserError, did_you_mean


def _join_lines(helptext: str) -> str:
    """A docstring with each paragraph in one line, which the help wraps at the width of the terminal."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", helptext.strip()))


# tyro's own keeps the break before a line that begins with a space, a digit or a sign.
strings.remove_single_line_breaks = _join_lines


def parse(
    what: Callable[..., Any], args: list[str], command: str, config: Sequence[Any] = (), **options: Any
) -> Any:
    """Read `args` with `tyro.cli`; a mistake becomes a `UserError` of one line.

    Args:
        what: A function, which is called with the arguments, or a dataclass, which is filled in.
        args: The arguments after the command.
        command: The command as the user typed it, for messages.
        config: Markers of `tyro.conf`.
        options: Further options of `tyro.cli`.

    Returns:
        What the function returned, or the dataclass.

    Raises:
        UserError: if the arguments do not fit; it names the nearest option or the allowed values.
        SystemExit: with code 0, after `--help` was shown.
    """
    if not dataclasses.is_dataclass(what):
        # None is a parameter's default and no value to type; a field of a recipe can need it: --start-from None.
        config = (*config, tyro.conf.DisallowNone)
        # tyro keeps all line breaks in what a function's docstring says of a parameter.
        what.__doc__ = re.sub(r"\n {8}(?=\S)", " ", inspect.cleandoc(what.__doc__ or ""))

    def refuse(event: errors.ParseErrorEvent) -> None:
        for arg in args:
            if arg.startswith("-") and Path(arg).exists():
                raise UserError(f"{arg} looks like an option; for the file of this name, write ./{arg}")
        if message := _explain(event, what):
            raise UserError(f"{message}; see {command} --help")

    with errors.on_parse_error(refuse):
        return tyro.cli(what, args=args, prog=command, config=config, **options)


_PLAIN = {
    "invalid literal for int() with base 10:": "a whole number is needed, not",
    "could not convert string to float:": "a number is needed, not",
}
"""Python's words for a value that is no number, and plain ones."""


def _explain(event: errors.ParseErrorEvent, what: Callable[..., Any]) -> str:
    """One line for one of tyro's errors; empty for a kind that is not known here, which tyro then prints itself."""
    if isinstance(event, errors.MissingArgs):
        missing = ", ".join(context.arg.display_name() for context in event.missing_arguments)
        return f"missing {missing}{_unknown(event.unrecognized_tokens, what, ', and ')}"
    if isinstance(event, errors.UnrecognizedArgs):
        return _unknown(event.tokens, what)
    if isinstance(event, errors.InvalidChoice):
        choices = [choice for choice in event.choices if choice != "None"]  # tyro lists it in spite of DisallowNone
        near = did_you_mean(event.value, choices)
        return (
            f"{event.argument.display_name()} cannot be '{event.value}'{near}; choose one of {', '.join(choices)}"
        )
    if isinstance(event, errors.BadValue):
        return f"{event.argument.display_name()} needs a value"
    if isinstance(event, errors.InstantiationFailure):
        where = f"{event.argument.display_name()}: " if event.argument else ""
        message = " ".join(event.message.split()).rstrip(".")
        for python, plain in _PLAIN.items():
            message = message.replace(python, plain)
        return where + message
    return ""


def _unknown(tokens: list[str], what: Callable[..., Any], before: str = "") -> str:
    """The unknown options among `tokens`, each with the nearest option that exists."""
    # Of `--widht 3`, both are unknown; only the option is a mistake.
    names = [token.split("=")[0] for token in tokens if token.startswith("--")]
    parts = [] if names else [f"unexpected argument {token}" for token in tokens]
    for name in names:
        parts.append(f"no option {name}{did_you_mean(name.replace('_', '-'), _options(what))}")
    return before + ", ".join(parts) if parts else ""


def _options(what: Callable[..., Any]) -> Iterator[str]:
    """The options that `what` takes, with those of dataclasses inside it."""
    for name, kind in typing.get_type_hints(what).items():
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from _options(kind)
        elif name != "return":
            yield f"--{name.replace('_', '-')}"
