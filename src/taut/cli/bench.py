"""`taut bench`: what layers, bounds and training cost, beside plain torch and other libraries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from taut.bench.config import BenchConfig
from taut.bench.timing import Row
from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options(BenchConfig):
    """Time layers, activations, projections, bounds or training, beside plain torch and the other libraries that are
    installed, interleaved; the tables are written as Markdown and JSON."""

    kind: Annotated[Literal["dense", "conv", "activation", "projection", "bound", "train", "all"], tyro.conf.Positional]
    """What is timed."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut bench` with `arguments`."""
    options = parse(Options, arguments, prog="taut bench")
    from taut.bench.run import KINDS, carry_out

    kinds = tuple(KINDS) if options.kind == "all" else (options.kind,)
    for path in carry_out(kinds, options, command=["taut", "bench", *arguments], show=_show):
        print(f"wrote {path}")


def _show(title: str, base: str, rows: Mapping[str, Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from taut.bench.record import cells

    table = Table(box=box.SIMPLE)
    table.add_column("contender")
    for name in ("ms (median)", f"ratio to {base}", "quartiles"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *cells(row))
    console = Console()
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)
