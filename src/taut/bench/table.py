"""What was measured: rows of tables, and tables in a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one contender took. Ratios are those of each round, to the base in the same round."""

    median_ms: float
    ratio: float
    ratio_low: float
    """Lower quartile."""
    ratio_high: float
    """Upper quartile."""
    rounds_not_finite: int
    """Rounds whose number was infinite or NaN: they are left out."""
    peak_mib: float | None = None
    """Memory at the peak of a call, above what is held between calls; None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Along:
    """Where a table stands among those of a study, which differ in one size."""

    study: str
    """What they measure."""
    axis: str
    """What grows."""
    size: int
    growth: int
    """Power of the size with which the time of a contender grows at most: how the next one is foreseen."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Contenders that were timed against one of them, the base."""

    title: str
    base: str
    rows: Mapping[str, Row]
    along: Along | None = None
    left_out: Sequence[str] = ()
    """Contenders that would have taken longer than it was to be waited for."""
