"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the quality in a result.json, and the paths that were written."""
    console = console or Console()
    console.print(
        f"{figures['gan_type']} on {figures['dataset']}{note}",
        style="bold",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    if figures["quality"]:
        console.print(quality_table(figures["quality"]))
    bound = figures["lipschitz_bound"]
    proven = "none is proven" if bound is None else f"{bound:.7g}, proven"
    console.print(f"Lipschitz constant of the critic (l2): {proven}", highlight=False, soft_wrap=True)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def quality_table(quality: Mapping[str, Any]) -> Table:
    """Each figure of the generator beside that of training pictures, which no generator can be asked to beat."""
    table = Table()
    table.add_column("against held-out pictures")
    table.add_column("generated", justify="right")
    table.add_column("training pictures", justify="right")
    reference = quality["reference"]
    for name, title in (("frechet", "Fréchet distance"), ("precision", "precision"), ("recall", "recall")):
        table.add_row(title, f"{quality[name]:.4g}", f"{reference[name]:.4g}")
    found = quality.get("wasserstein1")
    if found:
        table.add_row("W1, exact between samples", _number(found["transport"]), f"{found['reference_transport']:.4g}")
        table.add_row("W1, at least (a critic, 95 %)", f"{found['lower']:.4g}", "")
    return table


def _number(value: float | None) -> str:
    return "needs POT" if value is None else f"{value:.4g}"
