"""Choosing the command, and turning what goes wrong into one sentence and an exit code."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from taut.errors import UsageError, UserError

COMMANDS = {
    "list": "recipes, layers and activations",
    "train": "train a recipe, or replay or resume a run",
    "finetune": "train a finished run on, or make its layers orthonormal",
    "compare": "train a recipe once for each activation, and compare",
    "reproduce": "make a table of the literature anew",
    "restore": "restore a picture of your own with a proven denoiser",
    "evaluate": "accuracy and certified accuracy of a run",
    "attack": "accuracy of a run under attack, next to what is certified",
    "certify": "write the certificate of a run again",
    "verify": "check a certificate against network and data",
    "audit": "proven bound of every layer of a run or of a model",
    "report": "write the report of a run, or compare several",
    "bench": "time layers, bounds and training beside other libraries",
    "export": "write a trained network into a folder that taut.load opens",
}

_HELP = """usage: taut COMMAND [OPTIONS]

Neural networks with a strict, proven Lipschitz constant: train, certify, attack, report.

commands:
{commands}

options, anywhere:
  --help       help for taut, or for the command it follows
  --version    version of taut
  --debug      show the traceback of an error

start with: taut train digits
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (sys.argv by default) and return the exit code: 0, 1 (it failed), 2 (wrong usage),
    130 or 143 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _dispatch(arguments)
    except UserError as error:
        if debug:
            raise
        print(f"taut: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print(f"taut: {getattr(stop, 'hint', 'interrupted')}", file=sys.stderr)
        return getattr(stop, "exit_code", 130)
    except BrokenPipeError:
        # Whoever read our output has stopped reading, as `head` does: not an error. The descriptor is pointed
        # elsewhere so that the interpreter's own flush at exit does not fail as well.
        sys.stdout = None
        return 0
    except OSError as error:
        if debug:
            raise
        print(f"taut: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        width = max(map(len, COMMANDS))
        print(_HELP.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())), end="")
        return 0
    if arguments[0] == "--version":
        from taut import __version__

        print(f"taut {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(COMMANDS)}"
        kind = "option" if name.startswith("-") else "command"
        raise UsageError(f"unknown {kind} {name!r}; {hint}")
    try:
        import_module(f"taut.cli.{name}").main(rest)  # parts of it are only imported where they are used
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "taut":
            raise
        extras = "app,imaging" if error.name.split(".")[0] in ("skimage", "torchmetrics") else "app"
        raise UserError(f'taut {name} needs the package {error.name}: pip install "taut[{extras}]"') from error
    return 0
