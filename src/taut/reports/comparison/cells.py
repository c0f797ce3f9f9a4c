"""The table of a comparison as text, for the terminal and for comparison.md."""

from collections.abc import Mapping
from typing import Any

from taut.reports.comparison.result import Comparison, parse_comparison


def comparison_cells(content: Mapping[str, Any]) -> tuple[list[str], dict[str, list[tuple[str, bool]]]]:
    """Heads of the columns, and for each run what stands in them and whether it is the best.

    Raises:
        UserError: for a field of `content`, which is that of comparison.json, that is missing or wrong.
    """
    return _cells(parse_comparison(content))


def comparison_markdown(content: Mapping[str, Any]) -> str:
    """The content of comparison.json as a Markdown table, the best of each column in bold. Errors as above."""
    heads, rows = comparison_cells(content)
    lines = [_line(["activation", *heads]), _line(["---", *["---:"] * len(heads)])]
    lines += [_line([name, *(f"**{text}**" if best else text for text, best in cells)]) for name, cells in rows.items()]
    return "\n".join([*lines, ""])


def _cells(comparison: Comparison) -> tuple[list[str], dict[str, list[tuple[str, bool]]]]:
    columns = comparison.columns
    rows: dict[str, list[tuple[str, bool]]] = {}
    for row in comparison.rows:
        numbers = [row.numbers.get(column) for column in columns]
        cells = [number.text if number else "" for number in numbers]
        best = [comparison.is_best(row, column) for column in columns]
        rows[row.name] = [*zip(cells, best, strict=True), (row.time, False)]
    return [*columns, "training"], rows


def _line(words: list[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"
