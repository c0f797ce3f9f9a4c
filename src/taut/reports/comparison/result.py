"""`comparison.json`: the headline numbers of several runs of one task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.files import read_json
from taut.reports.folder.fields import Fields
from taut.reports.folder.provenance import Provenance, read_provenance
from taut.reports.page.numbers import distance, duration, percent

FILE = "comparison.json"


@dataclass(frozen=True, kw_only=True)
class Number:
    """One headline number."""

    name: str
    value: float | None
    better: str | None
    """"higher", "lower", or None where neither is."""
    unit: str

    @property
    def text(self) -> str:
        """As it is written."""
        if self.value is None:
            return ""
        return percent(self.value) if self.unit == "fraction" else distance(self.value)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run."""

    name: str
    folder: str
    """Relative to the comparison's, where that has one."""
    numbers: dict[str, Number]
    seconds: float

    @property
    def time(self) -> str:
        """How long it trained, as a person says it."""
        return duration(self.seconds)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All of them."""

    task: str
    rows: list[Row]
    provenance: Provenance

    @property
    def columns(self) -> list[str]:
        """Names of the numbers that any run has, in order."""
        return list(
            dict.fromkeys(name for row in self.rows for name, each in row.numbers.items() if each.value is not None)
        )

    def better(self, column: str) -> str | None:
        """Which way the numbers of a column are better."""
        return next((row.numbers[column].better for row in self.rows if column in row.numbers), None)

    def is_best(self, row: Row, column: str) -> bool:
        """Whether no run has a better number than this one, and some run has another."""
        values = [other.numbers[column].value for other in self.rows if column in other.numbers]
        known = [value for value in values if value is not None]
        number, better = row.numbers.get(column), self.better(column)
        if number is None or number.value is None or better is None or len(set(known)) < 2:
            return False
        return number.value == (max(known) if better == "higher" else min(known))


def read_comparison(path: Path) -> Comparison:
    """Read and check `comparison.json`; a `UserError` names the field that is missing or wrong."""
    return parse_comparison(read_json(path), path)


def parse_comparison(content: Mapping[str, Any], path: Path = Path(FILE)) -> Comparison:
    """The content of `comparison.json`, checked."""
    fields = Fields(dict(content), path)
    rows = [_parse_row(row) for row in fields.rows("runs")]
    if not rows:
        raise fields.wrong("runs", "a list of one run or more", fields.values.get("runs"))
    return Comparison(task=fields.text("task"), rows=rows, provenance=read_provenance(fields))


def _parse_row(fields: Fields) -> Row:
    numbers = [
        Number(
            name=each.text("name"),
            value=each.optional_number("value"),
            better=each.optional_text("better"),
            unit=each.text("unit"),
        )
        for each in fields.rows("headline")
    ]
    return Row(
        name=fields.text("name"),
        folder=fields.text("folder"),
        numbers={number.name: number for number in numbers},
        seconds=fields.number("seconds"),
    )
