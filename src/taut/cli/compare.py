"""`taut compare`: a recipe once for each activation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import tyro

from taut.cli.parse import parse
from taut.cli.train import take
from taut.errors import UsageError

ConfigT = TypeVar("ConfigT")

_USAGE = """usage: taut compare RECIPE [--activations A B ...] [--jobs N] [--out DIR] [OPTIONS]
       taut compare --resume DIR [--jobs N]

Train a recipe once for each activation, with nothing else changed, and write a table and a page that compare the runs.

  --activations A B ...   short names that `taut list` shows; relu, abs, lipschitz-prelu, group-sort,
                          householder-activation and linear-spline when absent
  --budget BUDGET         of a recipe that has several sizes, as for taut train
  --jobs N                so many runs at a time, each in a process of its own
  --resume DIR            continue an interrupted comparison; runs that are finished are not repeated

`taut compare RECIPE --help` shows every option of the recipe.
"""


@dataclass(frozen=True, kw_only=True)
class Arguments(Generic[ConfigT]):
    """Options of a comparison: its own, and those of every run."""

    activations: tuple[str, ...] = ()
    """Activations, a run for each; the usual six when absent."""
    jobs: int = 1
    """Runs at a time, each in a process of its own."""
    out: Path | None = None
    """New or empty folder for the comparison; runs/compare-RECIPE-DATE-TIME when absent."""
    config: Annotated[ConfigT, tyro.conf.arg(name="")]


@dataclass(frozen=True, kw_only=True)
class _Again:
    """Options of a comparison that is continued."""

    jobs: int = 1
    """Runs at a time, each in a process of its own."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut compare` with `arguments`."""
    rest, command = list(arguments), ["taut", "compare", *arguments]
    resume = take(rest, "--resume")
    name = rest.pop(0) if rest and not rest[0].startswith("-") else None
    if resume is not None and name is not None:
        raise UsageError("give one of RECIPE and --resume DIR (see taut compare --help)")
    if resume is not None:
        _resume(Path(resume), rest)
    elif name is not None:
        _compare(name, rest, command)
    elif not rest or rest[0] in ("--help", "-h"):
        print(_USAGE, end="")
    else:
        raise UsageError("give a RECIPE before the options, or --resume DIR (see taut compare --help)")


def _compare(name: str, rest: list[str], command: Sequence[str]) -> None:
    from taut.recipes import description, recipe
    from taut.tasks.comparison import Plan, chosen_activations, compare

    default = recipe(name, take(rest, "--budget"))
    chosen_activations(default, name, ())  # a recipe without one is refused whatever its options are
    if any(word.partition("=")[0] == "--activation" for word in rest):
        raise UsageError("a comparison sets --activation itself: give --activations A B ...")
    options = parse(
        Arguments[type(default)],
        rest,
        prog=f"taut compare {name}",
        default=Arguments(config=default),
        description=f"{description(name)} Once for each activation.",
    )
    activations = chosen_activations(options.config, name, options.activations)
    plan = Plan(recipe=name, config=options.config, activations=activations)
    compare(plan, command=command, out=options.out, jobs=options.jobs)


def _resume(path: Path, rest: Sequence[str]) -> None:
    from taut.tasks.comparison import resume_comparison

    options = parse(_Again, rest, prog="taut compare --resume DIR")
    resume_comparison(path, jobs=options.jobs)
