"""The table of a comparison: what is best, what is not known, and how it is written."""

import pytest

from taut.errors import UserError
from taut.reports import comparison_cells, comparison_markdown


def row(name: str, error: float | None, share: float) -> dict:
    numbers = [
        {"name": "error", "value": error, "better": "lower", "unit": "number"},
        {"name": "share", "value": share, "better": "higher", "unit": "fraction"},
        {"name": "constant", "value": 1.0, "better": None, "unit": "number"},
    ]
    return {"name": name, "folder": name, "headline": numbers, "seconds": 75.0}


def test_the_best_is_the_smallest_where_lower_is_better() -> None:
    content = {"task": "t", "runs": [row("a", 0.5, 0.1), row("b", 0.25, 0.1), row("c", None, 0.125)]}
    heads, rows = comparison_cells(content)
    assert heads == ["error", "share", "constant", "training"]
    assert [[best for _, best in cells] for cells in rows.values()] == [
        [False, False, False, False], [True, False, False, False], [False, True, False, False],
    ]  # fmt: skip
    assert [text for text, _ in rows["c"]] == ["", "12.50\u202f%", "1.0000", "1 min 15 s"]
    assert comparison_markdown(content).splitlines()[3] == ("| b | **0.2500** | 10.00\u202f% | 1.0000 | 1 min 15 s |")


@pytest.mark.parametrize("runs", [[], [{"name": "a"}], [{**row("a", 1.0, 1.0), "seconds": "long"}]])
def test_damage_is_named(runs: list) -> None:
    with pytest.raises(UserError, match="comparison.json is damaged"):
        comparison_cells({"task": "t", "runs": runs})
