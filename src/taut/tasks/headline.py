"""The few numbers of a finished run by which it is compared with others."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from taut.tasks import task


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One number."""

    name: str
    value: float | None
    """None where the run did not measure it."""
    better: Literal["higher", "lower"] | None
    """None where neither is."""
    unit: Literal["fraction", "number"] = "number"
    """A fraction is shown as percent."""


def headlines(name: str, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the task called `name` says of `figures`, the content of a result.json; its top numbers where it has no
    function `headline`.

    Example:
        >>> headlines("wasserstein-table", {"budget": "small", "error": 0.5})
        [{'name': 'error', 'value': 0.5, 'better': None, 'unit': 'number'}]
    """
    chosen = getattr(task(name), "headline", _top_numbers)
    return [asdict(each) for each in chosen(figures)]


def _top_numbers(figures: Mapping[str, Any]) -> list[Headline]:
    numbers = {
        name: value
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in ("seed", "parameters")
    }
    return [Headline(name=name.replace("_", " "), value=value, better=None) for name, value in numbers.items()]
