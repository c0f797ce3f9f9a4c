"""`taut bench`: what layers, bounds and training cost, beside plain torch and other libraries."""

from collections.abc import Mapping, Sequence

from taut.bench.config import BenchConfig
from taut.bench.timing import Row
from taut.cli.parse import parse
from taut.errors import UsageError

_KINDS = ("dense", "conv", "activation", "projection", "bound", "train")
_USAGE = f"taut bench {'|'.join(_KINDS)}|all"


def main(arguments: Sequence[str]) -> None:
    """Run `taut bench` with `arguments`."""
    kind, *rest = arguments or ["--help"]
    if kind.startswith("-"):
        parse(BenchConfig, ["--help"] if kind in ("--help", "-h") else arguments, prog=_USAGE)
        raise UsageError(f"say what to time before the options: {_USAGE}")
    if kind not in (*_KINDS, "all"):
        raise UsageError(f"cannot time {kind!r}, only {', '.join(_KINDS)} or all")
    config = parse(BenchConfig, rest, prog=f"taut bench {kind}")
    from taut.bench.run import carry_out

    kinds = _KINDS if kind == "all" else (kind,)
    for path in carry_out(kinds, config, command=["taut", "bench", *arguments], show=_show):
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
