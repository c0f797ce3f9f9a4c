"""The table as text, for table.md and documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taut.reports.folder.fields import Fields
from taut.reports.page.numbers import distance
from taut.reports.wasserstein_table.order import published_order
from taut.reports.wasserstein_table.result import LINEAR, PUBLISHED, Cell, Result, parse_result


def markdown_table(result: Mapping[str, Any]) -> str:
    """The content of result.json as a Markdown table: one row for each activation, published numbers beside.

    Raises:
        UserError: for a field that is missing or wrong.
    """
    table = parse_result(Fields(dict(result), Path("result.json")))
    heads = ["activation", *(head for linear in LINEAR.values() for head in _heads(linear))]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    for activation in table.activations:
        cells = [table.cell(activation, linear) for linear in LINEAR]
        lines.append(_line([activation, *(word for cell in cells for word in _words(cell))]))
    return "\n".join([*lines, "", *_notes(table), ""])


def _heads(linear: str) -> list[str]:
    return [linear, "of exact transport", *(f"published, {name}" for name in PUBLISHED.values())]


def _words(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * (2 + len(PUBLISHED))
    share = 100 * sum(cell.fractions) / len(cell.fractions)
    published = [f"{cell.published[name]:.2f}" if name in cell.published else "" for name in PUBLISHED]
    return [f"{distance(cell.mean)} ± {distance(cell.spread)}", f"{share:.1f} %", *published]


def _line(words: list[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def _notes(table: Result) -> list[str]:
    transport, order = table.transport, published_order(table)
    error = "" if transport.standard_error is None else f" (standard error {distance(transport.standard_error)})"
    seeds = sorted({len(cell.values) for cell in table.cells})
    return [
        f"Wasserstein-1 distance (l2) between {table.dataset} and a generator: mean and standard deviation over "
        f"{' or '.join(str(count) for count in seeds)} {'seed' if seeds == [1] else 'seeds'}. Budget: {table.budget}.",
        f"Exact transport between {transport.samples} samples of each: {distance(transport.value)}{error}.",
        f"Of {order.pairs} pairs of cells with different published numbers ({PUBLISHED[table.column]}), "
        f"{order.agreeing} stand in the published order.",
        "The generator behind the published numbers is not known, so the order and the ratios can be compared, not the "
        "distances.",
    ]
