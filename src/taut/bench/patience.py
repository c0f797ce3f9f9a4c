"""Which contenders are worth waiting for, going by what they took at a smaller size."""

from collections.abc import Mapping

from taut.bench.table import Along, Row


class Patience:
    """What contenders took, study by study.

    >>> patience = Patience(60.0)
    >>> patience.allows(None, "anything")
    True
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` that one call may take."""
        self._seconds = seconds
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def remember(self, along: Along | None, rows: Mapping[str, Row]) -> None:
        """What the contenders took at one size."""
        if along is not None:
            for name, row in rows.items():
                self._seen[along.study, name] = (along.size, row.median_ms / 1e3)

    def allows(self, along: Along | None, name: str) -> bool:
        """Whether a contender is expected to be quick enough at this size; yes where nothing is known of it."""
        if along is None or (along.study, name) not in self._seen:
            return True
        size, seconds = self._seen[along.study, name]
        return seconds * (along.size / size) ** along.growth <= self._seconds
