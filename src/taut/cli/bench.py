"""`taut bench`: what layers, bounds and training cost, beside plain torch and other libraries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from taut.bench.config import BenchConfig
from taut.bench.table import Table
from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options(BenchConfig):
    """Time layers, activations, projections, bounds or training, beside plain torch and the other libraries that are
    installed, interleaved, or some of it at growing sizes (scale); the tables are written as Markdown and JSON, what
    grows as plots too."""

    kind: Annotated[
        Literal["dense", "conv", "activation", "projection", "bound", "train", "scale", "all"], tyro.conf.Positional
    ]
    """What is timed. all is every kind but scale, which takes an hour."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut bench` with `arguments`."""
    options = parse(Options, arguments, prog="taut bench")
    from taut.bench.run import KINDS, carry_out

    kinds = tuple(kind for kind in KINDS if kind != "scale") if options.kind == "all" else (options.kind,)
    for path in carry_out(kinds, options, command=["taut", "bench", *arguments], show=_show):
        print(f"wrote {path}")


def _show(table: Table) -> None:
    from rich import box
    from rich import table as terminal
    from rich.console import Console

    from taut.bench.record import cells, heads

    shown = terminal.Table(box=box.SIMPLE)
    shown.add_column("contender")
    for name in heads(table.rows, base=table.base):
        shown.add_column(name, justify="right")
    for name, row in table.rows.items():
        shown.add_row(name, *cells(row))
    console = Console()
    console.print(table.title, style="bold", highlight=False, soft_wrap=True)
    console.print(shown)
    if table.left_out:
        console.print(f"left out, as it would have taken too long: {', '.join(table.left_out)}\n", soft_wrap=True)
