"""Options from typed dataclasses, by tyro; what it has to say about a wrong one becomes a single sentence."""

import contextlib
import difflib
import io
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from taut.errors import UsageError

OptionsT = TypeVar("OptionsT")

_MARKERS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.FlagCreatePairsOff,
)


def parse(cls: Any, arguments: Sequence[str], *, prog: str, default: Any = None, description: str | None = None) -> Any:
    """An instance of the dataclass `cls` made from `arguments`; --help prints its fields and ends the program.

    Raises:
        UsageError: An unknown option or a value that is not allowed.
    """
    given = {} if default is None else {"default": default}
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options, unknown = tyro.cli(
                cls,
                args=list(arguments),
                prog=prog,
                description=description,
                config=_MARKERS,
                return_unknown_args=True,
                **given,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(f"{_sentence(said.getvalue())} (see {prog} --help)") from None
    if unknown:
        raise UsageError(_unknown_option(unknown[0], cls, given.get("default"), prog))
    return options


def _sentence(box: str) -> str:
    """What is written in a box drawn by tyro, on one line: title and message, without the frame and the pointer to
    --help."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in box.splitlines()]
    texts: list[str] = []
    for line in lines:
        text = line.strip("│╭╮╰╯─ \t")
        if line.strip().startswith("│") and re.fullmatch(r"[│─\s]+", line):
            break
        if text:
            texts.append(text)
    title, *message = texts or ["wrong usage"]
    return f"{title.lower()}: {' '.join(message)}" if message else title


def _unknown_option(token: str, cls: Any, default: Any, prog: str) -> str:
    if not token.startswith("-"):
        return f"unexpected argument {token!r} (see {prog} --help)"
    known = option_names(cls, default, prog)
    close = difflib.get_close_matches(token.split("=")[0].replace("_", "-"), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown option {token.split('=')[0]}; {hint}(see {prog} --help)"


def option_names(cls: Any, default: Any, prog: str) -> list[str]:
    """All options that `cls` has, read off its help."""
    text = io.StringIO()
    given = {} if default is None else {"default": default}
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        tyro.cli(cls, args=["--help"], prog=prog, config=_MARKERS, **given)
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text.getvalue())))
