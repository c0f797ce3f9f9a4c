"""The final table in the terminal."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HEADINGS = {"bjorck": "orthonormal", "spectral-norm": "spectral"}
"""How the linear layers are called over their columns."""


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the errors of a result.json, and the paths that were written."""
    console = console or Console()
    title = f"fits of {figures['function']}, mean squared error of {figures['models']} networks each{note}"
    console.print(title, style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(error_table(figures))
    bound = max(max(cell["lipschitz_bounds"]) for cell in figures["cells"])
    count = sum(len(cell["lipschitz_bounds"]) for cell in figures["cells"])
    shown = math.ceil(bound * 1e9) / 1e9  # rounded up: what is printed is a bound too
    console.print(
        f"proven Lipschitz constant (l2) of all {count} networks: at most {shown:.10g}", highlight=False, soft_wrap=True
    )
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def error_table(figures: Mapping[str, Any]) -> Table:
    """One row for each activation, the smallest median first; the function's variance is what a constant leaves."""
    table = Table()
    table.add_column("\nactivation", no_wrap=True)
    linears = list(dict.fromkeys(cell["linear"] for cell in figures["cells"]))
    for linear in linears:
        table.add_column(f"{HEADINGS.get(linear, linear)}\nmedian", justify="right", no_wrap=True)
        table.add_column("\nmean", justify="right", no_wrap=True)
    by_name = {(cell["activation"], cell["linear"]): cell for cell in figures["cells"]}
    activations = sorted(
        {cell["activation"] for cell in figures["cells"]},
        key=lambda each: min(cell["median"] for cell in figures["cells"] if cell["activation"] == each),
    )
    for activation in activations:
        cells = [by_name.get((activation, linear)) for linear in linears]
        table.add_row(activation, *(word for cell in cells for word in _words(cell)))
    table.add_row("constant 0", f"{figures['variance']:.2e}", style="dim")
    return table


def _words(cell: Mapping[str, Any] | None) -> list[str]:
    if cell is None:
        return ["", ""]
    return [f"{cell['median']:.2e}", f"{cell['mean']:.2e}"]
