"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from taut.tasks.classification.start import smallest


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
    if whole := figures.get("held_out"):
        console.print(
            f"all {whole['samples']} held-out pictures, in float32: {_percent(whole['accuracy'])} right, "
            f"{_percent(whole['top5'])} among the first five",
            highlight=False,
            soft_wrap=True,
        )
    if figures.get("start"):
        console.print(f"started from {figures['start']['run']}", highlight=False, soft_wrap=True, markup=False)
        console.print(beside_table(figures))
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def accuracy_table(figures: Mapping[str, Any]) -> Table:
    """Certified and attacked accuracy by radius; the first row, radius 0, is the clean accuracy."""
    from taut.reports.page.numbers import levels

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
    once = figures.get("fgsm") or {}
    if once:
        table.add_column("after one step (FGSM)", justify="right")
    clean = _percent(figures["accuracy"])
    same = _percent(attack["accuracy"]) if attack else ""
    table.add_row(
        "0 (accuracy)", clean, *([same] if partial else []), *([same] if attack else []), *([same] if once else [])
    )
    for eps in certified or figures["attacked"]:
        cells = [levels(eps), _percent(certified[eps]) if certified else "-"]
        if partial:
            cells.append(_percent(attack["certified"][eps]))
        if attack:
            cells.append(_percent(figures["attacked"][eps]))
        if once:
            cells.append(_percent(once[eps]))
        table.add_row(*cells)
    return table


def beside_table(figures: Mapping[str, Any]) -> Table:
    """What the run from which training started had reached, and what this one has."""
    start = figures["start"]
    table = Table()
    for name in ("", "before", "after"):
        table.add_column(name, justify="right" if name else "left")
    pairs: dict[str, tuple[str, str]] = {}
    pairs["accuracy"] = (_percent(start["accuracy"]), _percent(figures["accuracy"]))
    same_norm = start.get("norm") == figures["norm"]
    for kind in ("certified", "attacked") if same_norm else ():
        for eps in figures[kind]:
            before = start.get(kind, {}).get(eps)
            pairs[f"{kind} at {eps}"] = ("-" if before is None else _percent(before), _percent(figures[kind][eps]))
    if same_norm:
        pairs["proven constant"] = (_number(start.get("lipschitz_bound")), _number(figures["lipschitz_bound"]))
    pairs["smallest singular value"] = (_number(start.get("sigma_min")), _number(smallest(figures)))
    for name, (before, after) in pairs.items():
        table.add_row(name, before, after)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
