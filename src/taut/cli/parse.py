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


_REGISTRY = tyro.constructors.ConstructorRegistry()


@_REGISTRY.primitive_rule
def _number(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Numbers are written as python does, or as a fraction of two: 36/255 is a radius of pictures."""
    if info.type is not float:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=lambda words: _fraction(words[0]),
        is_instance=lambda value: isinstance(value, float),
        str_from_instance=lambda value: [str(value)],
    )


def _fraction(word: str) -> float:
    over, found, under = word.partition("/")
    if not found:
        return float(word)
    try:
        return float(over) / float(under)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"could not convert string to float: {word!r}") from None


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
                registry=_REGISTRY,
                **given,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        if found := re.search(r"Unrecognized options:\s+(\S+)", re.sub(r"[│─]", " ", said.getvalue())):
            raise UsageError(_unknown_option(found[1], cls, given.get("default"), prog)) from None
        raise UsageError(f"{_sentence(said.getvalue())} (see {prog} --help)") from None
    if unknown:
        raise UsageError(_unknown_option(unknown[0], cls, given.get("default"), prog))
    return options


def _sentence(box: str) -> str:
    """What is written in a box drawn by tyro, on one line: title and message, without the frame and the pointer to
    --help."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in box.splitlines()]
    title, *message = _first_part(lines) or ["wrong usage"]
    if missing := _missing_options(message):
        return f"missing {', '.join(missing)}"
    text = " ".join(line.strip() for line in message)
    if found := re.match(r"Error parsing (\S+): no type matching (?:\{None\}\|)?(.+) could be .* from \[(.*?)\]", text):
        option, kinds, words = found.groups()
        given = " ".join(re.findall(r"[^', ]+", words))
        return f"{option} takes {kinds.strip('{}')}, got {given}"
    if found := re.match(
        r"Error parsing (\S+): (invalid literal for int|could not convert string to float).*'(.*)'$", text
    ):
        option, reason, word = found.groups()
        return f"{option} takes {'a whole number' if 'int' in reason else 'a number'}, got {word}"
    if found := re.match(r"Error parsing (\S+): Could not find valid parse for arguments: \[(.*?)\]", text):
        given = " ".join(re.findall(r"[^', ]+", found[2]))
        return f"{found[1]} cannot be {given}"
    return f"{title.strip().lower()}: {text}" if text else title.strip()


def _first_part(lines: Sequence[str]) -> list[str]:
    """Title and message, indented as they are, up to the rule behind them; without Unicode there are rules alone."""
    texts: list[str] = []
    for line in lines:
        text = re.sub(r"^[│╭╰]?─? ?|[─╮╯│\s]*$", "", line)
        if re.fullmatch(r"[│\s]*(─|-){4,}[│\s]*", line):
            if len(texts) > 1:
                break
        elif text.strip():
            texts.append(text)
    return texts


def _missing_options(message: Sequence[str]) -> list[str]:
    """Names of the options that a message lists as missing."""
    if not message or not message[0].strip().startswith("Missing from"):
        return []
    found = [re.match(r"( *)(--[a-z0-9-]+|[A-Z]{3,}\b)", line) for line in message]
    shallowest = min((len(match[1]) for match in found if match), default=0)
    return [match[2] for match in found if match and len(match[1]) == shallowest]


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
