"""`taut train`: a recipe, a config file, or the rest of an interrupted run."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from taut.cli.parse import parse
from taut.errors import UsageError

ConfigT = TypeVar("ConfigT")

_USAGE = """usage: taut train RECIPE [--budget small|full] [OPTIONS]
       taut train CONFIG.json [OPTIONS]
       taut train --resume RUN [--devices N ...]

Train what a recipe says, measure it on held-out data, and write everything into a run folder with a report.

  RECIPE           a name that `taut list` shows
  CONFIG.json      config.json of an earlier run, to train it again with the same numbers; also --config CONFIG.json
  --budget BUDGET  small, the default, or full, the published sizes, of a recipe that has several:
{budgets}
  --resume RUN     continue an interrupted run from its last checkpoint, to the same weights as without the interruption

recipes:
{recipes}

`taut train RECIPE --help` shows every option with its value in the recipe.
"""


@dataclass(frozen=True, kw_only=True)
class Arguments(Generic[ConfigT]):
    """Options of a training run."""

    out: Path | None = None
    """New or empty folder for the run; runs/RECIPE-DATE-TIME when absent."""
    config: Annotated[ConfigT, tyro.conf.arg(name="")]


def main(arguments: Sequence[str]) -> None:
    """Run `taut train` with `arguments`."""
    rest, command = list(arguments), ["taut", "train", *arguments]
    resume, config_file = take(rest, "--resume"), take(rest, "--config")
    target = rest.pop(0) if rest and not rest[0].startswith("-") else None
    if sum(choice is not None for choice in (resume, config_file, target)) > 1:
        raise UsageError("give one of RECIPE, --config FILE and --resume RUN (see taut train --help)")
    if resume is not None:
        resume_run(Path(resume), rest)
    elif config_file is not None or (target is not None and _is_file(target)):
        replay(Path(config_file or target or ""), rest, command)
    elif target is not None:
        _recipe(target, rest, command)
    elif not rest or rest[0] in ("--help", "-h"):
        _print_usage()
    else:
        raise UsageError("give a RECIPE before the options, or --config FILE, or --resume RUN (see taut train --help)")


def _recipe(name: str, rest: list[str], command: Sequence[str]) -> None:
    from taut.recipes import RECIPES, description, recipe

    if name not in RECIPES:  # a run folder that is called as a recipe does not stand in its way
        _refuse_folder(Path(name))
    budget = take(rest, "--budget")
    default, sized = recipe(name, budget), "" if budget is None else f" --budget {budget}"
    train_config(default, name, rest, command, prog=f"taut train {name}{sized}", description=description(name))


def replay(path: Path, rest: Sequence[str], command: Sequence[str]) -> None:
    """Do again what config.json at `path` says, with the options in `rest` put in its place."""
    from taut import __version__
    from taut.tasks import task
    from taut.training.run_folder import read_manifest
    from taut.training.serialise import from_plain

    manifest = read_manifest(path)
    if manifest.taut != __version__:
        print(f"taut: note: {path} was written by taut {manifest.taut}, this is {__version__}", file=sys.stderr)
    default = from_plain(task(manifest.task).Config, manifest.config, source=str(path))
    train_config(
        default,
        manifest.recipe,
        rest,
        command,
        prog=f"taut train {path}",
        description=f"{manifest.recipe}, as in {path}",
    )


def train_config(
    default: Any, name: str, rest: Sequence[str], command: Sequence[str], *, prog: str, description: str
) -> None:
    """Run the task of the config `default`, with the options in `rest` put in its place."""
    from taut.tasks import task
    from taut.training.run_folder import check_out

    cls = type(default)
    options = parse(Arguments[cls], rest, prog=prog, default=Arguments(config=default), description=description)
    check_out(options.out)
    task(cls.task).train(options.config, recipe=name, command=command, out=options.out)


def resume_run(path: Path, rest: Sequence[str]) -> None:
    """Continue the run in the folder `path`, or show it where it is finished."""
    from taut.tasks import task
    from taut.training.run_folder import open_run
    from taut.training.serialise import from_plain

    folder, manifest = open_run(path)
    which = task(manifest.task)
    old = from_plain(which.Config, manifest.config, source=str(folder.config))
    new = parse(which.Config, rest, prog=f"taut train --resume {path}", default=old)
    if (replace(new, engine=old.engine) if hasattr(old, "engine") else new) != old:
        raise UsageError("--resume continues a run as it was begun: only devices, precision and checkpoints may change")
    if not which.show_finished(folder):
        which.train(new, recipe=manifest.recipe, command=manifest.command, resume=folder)


def take(arguments: list[str], option: str) -> str | None:
    """Remove `option` and its value from `arguments`; return the value."""
    for place, argument in enumerate(arguments):
        if argument == option:
            if place + 1 == len(arguments):
                raise UsageError(f"{option} needs a value")
            arguments.pop(place)
            return arguments.pop(place)
        if argument.startswith(f"{option}="):
            return arguments.pop(place).partition("=")[2]
    return None


def _is_file(target: str) -> bool:
    return target.endswith(".json") or Path(target).is_file()


def _refuse_folder(path: Path) -> None:
    if (path / "config.json").is_file():
        raise UsageError(
            f"{path} is a run folder: continue it with --resume {path}, or train it again with {path / 'config.json'}"
        )


def _print_usage() -> None:
    from taut.recipes import BUDGETS, RECIPES, description

    width = max(map(len, RECIPES))
    lines = [f"  {name:<{width}}  {description(name)}" for name in RECIPES]
    print(_USAGE.format(recipes="\n".join(lines), budgets=_wrapped(BUDGETS)), end="")


def _wrapped(names: Iterable[str]) -> str:
    margin = " " * len("  --budget BUDGET  ")
    return textwrap.fill(", ".join(names), 120, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
