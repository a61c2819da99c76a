"""The command line. A command is imported when it runs, so that `--help` and `--version` take no time."""

import importlib
import io
import sys
from collections.abc import Sequence

from gan_restore import __version__
from gan_restore.files import UserError, did_you_mean

USAGE = """\
gan-restore: image restoration with GANs

  gan-restore recipes                                 list the recipes
  gan-restore train RECIPE [--scale smoke] ...        train a recipe into a run folder
  gan-restore evaluate RUN_OR_CHECKPOINT ...          compare a trained model with the classical methods
  gan-restore models                                  list the trained models that are part of the package
  gan-restore restore PHOTO... --model NAME ...       restore photos with one of them, or with --checkpoint FILE
  gan-restore export MODEL --out FILE ...             write a network for onnxruntime or plain PyTorch
  gan-restore serve [--port 8000] ...                 restore photos on a web page
  gan-restore course [--scale smoke] ...              run every notebook and make a site of the results
  gan-restore site [--scale smoke]                    build the site of a finished course again
  gan-restore exercises [--out lab]                   write the notebooks without the solutions of the exercises
  gan-restore cache [--clear] ...                     show or clear the cache of decoded images

`gan-restore COMMAND --help` shows the options and an example."""

COMMANDS = {
    "recipes": "gan_restore.cli.list_recipes",
    "train": "gan_restore.cli.train",
    "evaluate": "gan_restore.cli.evaluate",
    "models": "gan_restore.cli.list_models",
    "restore": "gan_restore.cli.restore",
    "export": "gan_restore.cli.export",
    "serve": "gan_restore.cli.serve",
    "course": "gan_restore.cli.course",
    "site": "gan_restore.cli.site",
    "exercises": "gan_restore.cli.exercises",
    "cache": "gan_restore.cli.cache",
}
"""The module of each command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after `gan-restore`; None takes those of the process.

    Returns:
        The exit code: 0; 1 if a notebook of the course failed; 2 for an error that the user can mend; 130 after
        Ctrl-C.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are not UTF-8
    try:
        if not args or args[0] in ("-h", "--help"):
            print(USAGE)
            return 0
        if args[0] == "--version":
            print(f"gan-restore {__version__}")
            return 0
        if args[0] not in COMMANDS:
            near = did_you_mean(args[0], COMMANDS)
            raise UserError(f"no command '{args[0]}'{near}; choose one of {', '.join(COMMANDS)}")
        importlib.import_module(COMMANDS[args[0]]).main(args[1:])
    except UserError as error:
        print(f"gan-restore: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gan-restore ... | head`
        sys.stdout = None
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
