"""The tables of a full evaluation in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from taut.tasks.classification.table import accuracy_table

LIPSCHITZ = {
    "jacobian_norm_estimate": "largest norm of the Jacobian at a sample: an estimate from below",
    "search_estimate": "steepest pair of points that a search found: an estimate from below",
    "lipschitz_bound": "proven bound of the network: never too small",
    "weight_norm_product": "product of the norms of all weights, as the literature reports it",
}
"""By the name in result.json, what each number means."""
DISTANCES = {
    "certified_radius": "certified: no smaller change alters the class",
    "first_order_estimate": "first-order estimate: proves nothing",
    "second_order_estimate": "second-order estimate: proves nothing",
    "attacked_distance": "attained by the attack: a change of this size alters the class",
}


def print_full(figures: Mapping[str, Any], *, written: Sequence[Path] = (), console: Console | None = None) -> None:
    """Print what `full_evaluation` returned."""
    console = console or Console()
    norm = figures["norm"]
    title = f"{figures['dataset']}: {figures['samples']} held-out samples, {figures['gradient_samples']} with gradients"
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(accuracy_table(figures))
    console.print(_lipschitz(figures["lipschitz"], norm))
    console.print(_errors(figures))
    console.print(_distances(figures["distance"], norm))
    console.print(_nearest(figures["nearest"]))
    if figures["units"]:
        console.print(_units(figures["units"]))
    for sentence in sentences(figures):
        console.print(sentence, highlight=False, soft_wrap=True)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def sentences(figures: Mapping[str, Any]) -> list[str]:
    """What the tables do not say by themselves."""
    distance, lipschitz = figures["distance"], figures["lipschitz"]
    found = [
        f"the {order}-order estimate lies above the distance at which the attack succeeded for "
        f"{distance['above_attacked'][f'{order}_order_estimate']} of {distance['attack_succeeded']} samples: "
        "there it is refuted"
        for order in ("first", "second")
    ]
    if lipschitz["lipschitz_bound"] is None:
        found.append(f"not certified: {lipschitz['no_bound_because']}")
    return found


def _lipschitz(lipschitz: Mapping[str, Any], norm: str) -> Table:
    table = Table(title=f"Lipschitz constant, {norm}")
    table.add_column("value", justify="right")
    table.add_column("what it is")
    for name, meaning in LIPSCHITZ.items():
        value = lipschitz[name]
        table.add_row("not certified" if value is None else f"{value:.7g}", meaning)
    return table


def _errors(figures: Mapping[str, Any]) -> Table:
    table = Table(title="error and loss")
    for column in ("split", "samples", "error", f"loss ({figures['loss_name']})"):
        table.add_column(column, justify="right")
    for split in ("test", "train"):
        row = figures[split]
        table.add_row(split, str(row["samples"]), f"{100 * row['error']:.2f} %", f"{row['loss']:.4g}")
    return table


def _distances(distance: Mapping[str, Any], norm: str) -> Table:
    table = Table(title=f"distance to another class, {norm}, of {distance['correct']} correctly classified samples")
    table.add_column("what it is")
    for column in ("least", "quarter", "median", "three quarters"):
        table.add_column(column, justify="right")
    for name, meaning in DISTANCES.items():
        if name in distance:
            row = distance[name]
            table.add_row(meaning, *(_number(value) for value in (row["min"], *row["quartiles"])))
    return table


def _nearest(nearest: Mapping[str, Any]) -> Table:
    table = Table(title="distance to the nearest training sample of another label")
    for column in ("norm", "samples", "least", "quarter", "median", "three quarters", "mean"):
        table.add_column(column, justify="right")
    for norm, row in nearest.items():
        values = (row["min"], *row["quartiles"], row["mean"])
        table.add_row(norm, str(row["samples"]), *(_number(value) for value in values))
    return table


def _units(units: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="units, by the share of the data on which they are so")
    for column in ("layer", "kind", "units", "dead", "linear on all", "active on 10 %", "switching on 10 %"):
        table.add_column(column, justify="left" if column in ("layer", "kind") else "right")
    for row in units:
        shares = (row["active_on"]["0.1"], row["switching_on"]["0.1"])
        counts = (row["units"], row["dead"], row["linear"])
        table.add_row(row["name"], row["kind"], *map(str, counts), *(f"{100 * share:.1f} %" for share in shares))
    return table


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.4g}"
