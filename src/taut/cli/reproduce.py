"""`taut reproduce`: a table of the literature, made anew."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from taut.cli.train import resume_run, take, train_config
from taut.errors import UsageError

_USAGE = """usage: taut reproduce TABLE [--budget small|full] [OPTIONS]
       taut reproduce --resume RUN

Make a table of the literature anew, beside the published numbers.

  --budget small   narrower networks, minutes on two cores; full, the default, has the published sizes and wants a GPU
  --resume RUN     continue an interrupted table

tables:
{tables}

`taut reproduce TABLE --help` shows every option.
"""


def main(arguments: Sequence[str]) -> None:
    """Run `taut reproduce` with `arguments`."""
    rest, command = list(arguments), ["taut", "reproduce", *arguments]
    resume = take(rest, "--resume")
    name = rest.pop(0) if rest and not rest[0].startswith("-") else None
    if resume is not None and name is not None:
        raise UsageError("give one of TABLE and --resume RUN (see taut reproduce --help)")
    if resume is not None:
        resume_run(Path(resume), rest)
    elif name is not None:
        _table(name, rest, command)
    elif not rest or rest[0] in ("--help", "-h"):
        _print_usage()
    else:
        raise UsageError("give a TABLE before the options, or --resume RUN (see taut reproduce --help)")


def _table(name: str, rest: list[str], command: Sequence[str]) -> None:
    from taut.recipes import TABLES, first_line

    if name not in TABLES:
        close = difflib.get_close_matches(name, TABLES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(TABLES)}"
        raise UsageError(f"unknown table {name!r}; {hint}")
    budgets = TABLES[name]
    budget = take(rest, "--budget") or "full"
    if budget not in budgets:
        raise UsageError(f"--budget must be one of {', '.join(budgets)}, got {budget!r}")
    make = budgets[budget]
    train_config(
        make(), name, rest, command, prog=f"taut reproduce {name} --budget {budget}", description=first_line(make)
    )


def _print_usage() -> None:
    from taut.recipes import TABLES, first_line

    lines = [f"  {name}  {first_line(budgets['full'])}" for name, budgets in TABLES.items()]
    print(_USAGE.format(tables="\n".join(lines)), end="")
