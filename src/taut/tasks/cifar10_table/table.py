"""The table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_WIDE = 160
"""Columns of text that the whole table needs; in a narrower terminal what was run is left out, and what it reached
stays."""
_SIZES = {"xs": "XS", "l": "L"}


def print_table(result: Mapping[str, Any], *, written: Sequence[Path], console: Console | None = None) -> None:
    """Print a row for each layer: what was run, what it reached, and what was published; and the paths written."""
    console = console or Console()
    narrow = console.width < _WIDE and console.is_terminal
    if not narrow:
        console.width = max(console.width, _WIDE)
    for line in _title(result):
        console.print(line, style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(layers_table(result, narrow=narrow))
    for line in [*notes(result), *(f"wrote {path}" for path in written)]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def layers_table(result: Mapping[str, Any], *, narrow: bool) -> Table:
    """A row for each layer; without what was run where it is `narrow`."""
    from taut.reports.page.numbers import levels, upper

    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in ("layer", *([] if narrow else ["updates", "epochs", "seconds", "parameters"]), "clean"):
        table.add_column(name, justify="right" if name != "layer" else "left")
    words = [levels(radius) for radius in result["radii"]]
    keys = [f"{radius:g}" for radius in result["radii"]]
    kinds = {"certified": "cert.", **({"attacked": "att."} if result["attacked_samples"] else {})}
    for short in kinds.values():
        for word in words:
            table.add_column(f"{short}\n{word}", justify="right")
    if not narrow:
        table.add_column("proven\nconstant", justify="right")
    sizes = [size for size in _SIZES if any(size in row["published"] for row in result["rows"])]
    for size in sizes:
        table.add_column(f"published\n24 h, {_SIZES[size]}", justify="right")
    for row in result["rows"]:
        run = [f"{row['updates']}", f"{row['epochs']:.2f}", f"{row['seconds']:.0f}", f"{row['parameters']:,}"]
        table.add_row(
            row["convolution"],
            *([] if narrow else run),
            _percent(row["accuracy"]),
            *(_percent(row[kind][key]) for kind in kinds for key in keys),
            *([] if narrow else [upper(row["lipschitz_bound"])]),
            *(_published(row["published"].get(size)) for size in sizes),
        )
    return table


def notes(result: Mapping[str, Any]) -> list[str]:
    """What has to be known to read the table."""
    some = result["attacked_samples"]
    lines = [f"Accuracies in percent: clean, certified{f', attacked (of the first {some} samples)' if some else ''}."]
    if any(row["published"] for row in result["rows"]):
        lines.append(
            "Published: clean / certified at 36/255 after 24 hours of one GPU for each layer, on networks XS and L of "
            "the same skeleton (Prach, Brau, Buttazzo and Lampert, 2024)."
        )
    return lines


def _title(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{result['dataset']}, {result['architecture']}: {len(result['rows'])} layers, {result['minutes']:g} minutes "
        f"of updates each, {result['samples']} held-out samples, {result['norm']}"
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _published(known: Mapping[str, float] | None) -> str:
    return "" if known is None else f"{100 * known['accuracy']:.1f} / {100 * known['certified']:.1f}"
