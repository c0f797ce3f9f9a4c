"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_comparison(result: Mapping[str, Any], *, written: Sequence[Path], console: Console | None = None) -> None:
    """Print a row for each run, with its headline numbers, the best of each column in bold; and the paths written."""
    from taut.reports import comparison_cells

    console = console or Console()
    heads, rows = comparison_cells(result)
    console.print(f"{result['recipe']}: {len(rows)} runs", style="bold", highlight=False, soft_wrap=True, markup=False)
    table = Table()
    table.add_column("activation")
    for head in heads:
        table.add_column(head, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *(f"[bold]{text}[/bold]" if best else text for text, best in cells))
    console.print(table)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)
