"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the numbers of a result.json, and the paths that were written."""
    console = console or Console()
    title = f"{figures['target']}, by {figures['blocks']} blocks of L = {figures['lipschitz']:g}{note}"
    console.print(title, style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(_table(figures))
    console.print(
        f"proven Lipschitz constants (l2): {figures['lipschitz_bound']:.5g} of the network, "
        f"{figures['inverse_lipschitz_bound']:.5g} of its inverse",
        highlight=False,
        soft_wrap=True,
    )
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def _table(figures: Mapping[str, Any]) -> Table:
    """One row per number, with what it means."""
    table = Table(show_header=False)
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify)
    likelihood, mmd, transport = figures["log_likelihood"], figures["mmd"], figures["wasserstein1"]
    if likelihood is not None:
        truth, error = likelihood["truth"], f"standard error {likelihood['standard_error']:.2g}"
        said = f"{error}; the true density: {truth:.5g}" if truth is not None else error
        table.add_row("log-likelihood", f"{likelihood['value']:.5g}", said)
    for name, what in (("forward", "latents against normal samples"), ("inverse", "samples against data")):
        reference = mmd[f"{name}_reference"]
        table.add_row(f"MMD {name}", f"{mmd[name]:.3g}", f"{what}; two true samples: {reference:.3g}")
    if transport is not None:
        table.add_row(
            "W1", f"{transport['value']:.3g}", f"samples to data; two true samples: {transport['reference']:.3g}"
        )
    inversion = figures["inversion"]
    steps, proven = sum(inversion["steps"]), sum(inversion["proven_steps"])
    table.add_row(
        "inversion error",
        f"{inversion['max_error']:.1e}",
        f"largest of {inversion['samples']}; proven: {inversion['error_bound']:.1e} after {steps} steps, "
        f"{inversion['tolerance']:.0e} before, by {proven}",
    )
    return table
