"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_WIDE = 120
"""Columns of text that the whole table needs; in a narrower terminal names are broken, and times left out."""


def print_comparison(result: Mapping[str, Any], *, written: Sequence[Path], console: Console | None = None) -> None:
    """Print a row for each run, with its headline numbers, the best of each column in bold; and the paths written."""
    from taut.reports import comparison_cells

    console = console or Console()
    heads, rows = comparison_cells(result)
    console.print(f"{result['recipe']}: {len(rows)} runs", style="bold", highlight=False, soft_wrap=True, markup=False)
    narrow = console.width < _WIDE and console.is_terminal
    if not narrow:
        console.width = max(console.width, _WIDE)
    table = Table(box=box.SIMPLE, padding=0) if narrow else Table()
    table.add_column("activation", no_wrap=not narrow)
    for head in heads[:-1] if narrow else heads:
        table.add_column(head, justify="right")
    for name, cells in rows.items():
        shown = [f"[bold]{text}[/bold]" if best else text for text, best in (cells[:-1] if narrow else cells)]
        table.add_row(name.replace("-", "-\n") if narrow else name, *shown)
    console.print(table)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)
