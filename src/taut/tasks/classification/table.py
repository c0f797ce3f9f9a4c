"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(
    figures: Mapping[str, Any], *, title: str, written: Sequence[Path] = (), console: Console | None = None
) -> None:
    """Print what `outcome.accuracies` returned, or a whole result.json, and the paths that were written."""
    console = console or Console()
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(accuracy_table(figures))
    norm, bound = figures["norm"], figures["lipschitz_bound"]
    proven = "not certified" if bound is None else f"proven Lipschitz constant of the network ({norm}): {bound:.7g}"
    console.print(proven, highlight=False, soft_wrap=True)
    attack = figures.get("attack") or {}
    if attack.get("samples", 0) < figures.get("samples", 0) and attack:
        console.print(
            f"attacked: the first {attack['samples']} of {figures['samples']} samples", highlight=False, soft_wrap=True
        )
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def accuracy_table(figures: Mapping[str, Any]) -> Table:
    """Certified and attacked accuracy by radius; the first row, radius 0, is the clean accuracy."""
    attack = figures.get("attack") or {}
    certified = figures["certified"]
    partial = bool(attack and certified) and attack["samples"] < figures.get("samples", attack["samples"])
    table = Table()
    table.add_column(f"{figures['norm']} radius", justify="right")
    table.add_column("certified" if certified else "not certified", justify="right")
    if partial:
        table.add_column("certified, attacked samples only", justify="right")
    if attack:
        table.add_column("under attack", justify="right")
    clean = _percent(figures["accuracy"])
    same = _percent(attack["accuracy"]) if attack else ""
    table.add_row("0 (accuracy)", clean, *([same] if partial else []), *([same] if attack else []))
    for eps in certified or figures["attacked"]:
        cells = [eps, _percent(certified[eps]) if certified else "-"]
        if partial:
            cells.append(_percent(attack["certified"][eps]))
        if attack:
            cells.append(_percent(figures["attacked"][eps]))
        table.add_row(*cells)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
