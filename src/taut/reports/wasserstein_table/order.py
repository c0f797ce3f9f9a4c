"""Whether the published order shows: pairs of cells, one by one, and every cell relative to the largest."""

from dataclasses import dataclass
from itertools import combinations

from taut.reports.wasserstein_table.result import Cell, Result


@dataclass(frozen=True, kw_only=True)
class Order:
    """Pairs of cells whose published numbers differ."""

    pairs: int
    agreeing: int
    """Pairs that stand in the published order here."""
    turned: list[tuple[Cell, Cell]]
    """Pairs that stand the other way round or level, the one that should be smaller first."""


def published_order(result: Result) -> Order:
    """Compare the means of all pairs of cells that have a published number."""
    known = in_order(result)[0]
    column = result.column
    pairs = [pair for pair in combinations(known, 2) if pair[0].published[column] < pair[1].published[column]]
    turned = [(small, large) for small, large in pairs if not small.mean < large.mean]
    return Order(pairs=len(pairs), agreeing=len(pairs) - len(turned), turned=turned)


def in_order(result: Result) -> tuple[list[Cell], list[Cell]]:
    """The cells with a published number in its order, and the others in the order of their means."""
    known = [cell for cell in result.cells if result.column in cell.published]
    others = [cell for cell in result.cells if result.column not in cell.published]
    return sorted(known, key=lambda cell: cell.published[result.column]), sorted(others, key=lambda cell: cell.mean)


def ratios(result: Result) -> dict[str, tuple[float, float]]:
    """By the name of the cell: its mean and its published number, as fractions of the cell published as largest."""
    known = in_order(result)[0]
    if not known or known[-1].mean == 0:
        return {}
    largest, column = known[-1], result.column
    return {cell.name: (cell.mean / largest.mean, cell.published[column] / largest.published[column]) for cell in known}
