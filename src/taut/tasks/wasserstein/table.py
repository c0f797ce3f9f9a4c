"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the bracket of a result.json, and the paths that were written."""
    console = console or Console()
    title = f"W1 between {figures['p_description']} and {figures['q_description']}{note}"
    console.print(title, style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(bracket_table(figures))
    console.print(
        f"proven Lipschitz constant of the critic (l2): {figures['lipschitz_bound']:.7g}; all values are divided by it",
        highlight=False,
        soft_wrap=True,
    )
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def bracket_table(figures: Mapping[str, Any]) -> Table:
    """One row per number, from the lower end to the upper one, each with what it means."""
    share = f"{100 * figures['confidence']:g} %"
    low, high = figures["interval"]
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column(justify="left")
    table.add_row("lower end", f"{figures['lower']:.6g}", f"below the distance, at {share} confidence")
    table.add_row(
        "estimate", f"{figures['estimate']:.6g}", f"{figures['samples']} held-out samples; {low:.6g} to {high:.6g}"
    )
    table.add_row("on training samples", f"{figures['train_estimate']:.6g}", "the gap to the estimate is overfitting")
    if figures["transport"] is not None:
        table.add_row(
            "exact transport", f"{figures['transport']:.6g}", f"of {figures['transport_samples']} held-out samples"
        )
        table.add_row("upper end", f"{figures['upper']:.6g}", f"above the distance, at {share} confidence")
    if figures["truth"] is not None:
        table.add_row("true distance", f"{figures['truth']:.6g}", f"estimate / truth: {_ratio(figures)}")
    table.add_row("gradient norm", f"{figures['gradient_norm']['mean']:.4f}", "mean; 1 is a critic that wastes nothing")
    if figures["beside"]:
        beside = figures["beside"]
        mean = beside["gradient_norm"]["mean"]
        table.add_row(f"with {beside['activation']}", f"{beside['estimate']:.6g}", f"gradient norm {mean:.4f}")
    return table


def _ratio(figures: Mapping[str, Any]) -> str:
    truth = figures["truth"]
    return f"{figures['estimate'] / truth:.5f}" if truth else "the distance is 0"
