"""The nearest sample of another label: no classifier is robust at both ends beyond half of that distance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

_CANDIDATES = 8
_ROWS, _COLUMNS = 1000, 4000
"""Samples whose distances are in memory at once; for linf, which has no matrix product, fewer rows."""
_ENTRIES = 2**24
"""Numbers of the exact differences that are in memory at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """For each sample, the nearest of the others that has another label."""

    distance: Float64[Tensor, " samples"]
    """Computed in float64 from the difference; infinite where all others have the sample's label."""
    index: Int64[Tensor, " samples"]
    """Its place among the others, the first of equally near ones; -1 where there is none."""
    rechecked: int
    """Samples for which rounding left the candidates in doubt, so that all of the others were measured in float64."""


def nearest_other_label(
    inputs: Float[Tensor, "samples *shape"],
    labels: Int64[Tensor, " samples"],
    others: Float[Tensor, "others *shape"],
    other_labels: Int64[Tensor, " others"],
    *,
    norm: str = "l2",
    progress: Callable[[int], None] = lambda _: None,
) -> Nearest:
    r"""min over j with another label of ||x_i - y_j||, for each i: exact to the rounding of float64, the first of ties.

    What it says: a classifier that is right at both ends has two disjoint balls around them, so that its two radii add
    up to no more than the distance d, and the smaller one is at most d / 2. One end alone may have more; at a radius
    of d or more the other end is misclassified.

    Matrix products in float32 propose the eight nearest, which are measured anew in float64. Where the bound of the
    rounding of float32 does not exclude that another one is as near, all are measured. Memory does not grow with the
    product of the sizes. In `norm` "linf" there are no products to use, and it takes some ten times as long.

    `progress` is called with the number of samples done.

    Raises ValueError for another norm, samples of other shapes than the others', sizes that do not fit, and values that
    are not finite.

    Example:
        >>> x, y = torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [2.0], [7.0]])
        >>> found = nearest_other_label(x, torch.tensor([0, 1]), y, torch.tensor([0, 1, 0]))
        >>> found.distance.tolist(), found.index.tolist()
        ([2.0, 2.0], [1, 2])
    """
    _check(inputs, labels, others, other_labels, norm)
    rows, columns = inputs.detach().cpu().flatten(1), others.detach().cpu().flatten(1)
    order = torch.argsort(other_labels.cpu(), stable=True)
    search = _Search(columns[order], other_labels.cpu()[order], order, norm)
    distance = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    index = torch.full((len(rows),), -1, dtype=torch.int64)
    done = rechecked = 0
    for label in labels.cpu().unique().tolist():
        for part in torch.nonzero(labels.cpu() == label).squeeze(1).split(search.rows):
            distance[part], index[part], doubtful = search.nearest(rows[part], label)
            rechecked += doubtful
            done += len(part)
            progress(done)
    return Nearest(distance=distance, index=index, rechecked=rechecked)


class _Search:
    """The others in the order of their labels, so that those of other labels are at most two slices: no mask."""

    def __init__(self, points: Tensor, labels: Tensor, order: Tensor, norm: str) -> None:
        self.points, self.order, self.norm = points, order, norm
        self.labels = labels.contiguous()
        self.quick = points.float()
        self.squares = self.quick.double().square().sum(dim=1)
        self.rows = _ROWS if norm == "l2" else 100

    def nearest(self, rows: Tensor, label: int) -> tuple[Tensor, Tensor, int]:
        """Distance and place of the nearest of another label, and how many rows had to be measured in full."""
        first = int(torch.searchsorted(self.labels, label))
        last = int(torch.searchsorted(self.labels, label, right=True))
        slices = [
            slice(start, min(start + _COLUMNS, end))
            for begin, end in ((0, first), (last, len(self.labels)))
            for start in range(begin, end, _COLUMNS)
        ]
        if not slices:
            return torch.full((len(rows),), torch.inf, dtype=torch.float64), torch.full((len(rows),), -1), 0
        values, places, unsure = self._candidates(rows, slices)
        distance, index = self._exact(rows, places)
        # All that were left out lie at `values[:, -1]` or further, computed: in truth at least that less the rounding.
        left_out = sum(part.stop - part.start for part in slices) > places.shape[1]
        measure = distance.square() if self.norm == "l2" else distance
        doubtful = (measure >= values[:, -1] - unsure) & left_out
        for row in torch.nonzero(doubtful).flatten().tolist():
            found = [self._all(rows[row], part) for part in slices]
            distance[row], index[row] = min(found)
        return distance, index, int(doubtful.sum())

    def _candidates(self, rows: Tensor, slices: list[slice]) -> tuple[Tensor, Tensor, Tensor]:
        """The smallest computed distances (squared for l2), ascending, their places, and a bound of their error."""
        quick = rows.float()
        squares = quick.double().square().sum(dim=1)
        best, places = torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64)
        for part in slices:
            block = self._block(quick, squares, part)
            values, found = block.topk(min(_CANDIDATES, block.shape[1]), largest=False, sorted=False)
            best, places = torch.cat([best, values], dim=1), torch.cat([places, found + part.start], dim=1)
        best, chosen = best.topk(min(_CANDIDATES, best.shape[1]), largest=False)
        return best.double(), places.gather(1, chosen), self._error(squares)

    def _block(self, quick: Tensor, squares: Tensor, part: slice) -> Tensor:
        if self.norm == "linf":
            return torch.cdist(quick, self.quick[part], p=torch.inf)
        constant = (squares[:, None] + self.squares[part]).float()
        return torch.addmm(constant, quick, self.quick[part].T, alpha=-2.0)

    def _error(self, squares: Tensor) -> Tensor:
        """Bound of the error of a computed entry against the inputs as they are given, rounded to float32 first."""
        unit = torch.finfo(torch.float32).eps
        entries = self.points.shape[1]
        size = (squares.sqrt() + self.squares.max().sqrt()) * (1.0 + 4.0 * unit)
        if self.norm == "linf":
            return 4.0 * unit * size
        # a sum of products errs by at most n u |x| |y|; rounding inputs and adding the squares by a few u |x + y|^2
        return (entries + 16) * unit * size.square()

    def _exact(self, rows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        distances = [
            self._distances(part[:, None], self.points[found])
            for part, found in zip(rows.split(self._share(places)), places.split(self._share(places)), strict=True)
        ]
        exact = torch.cat(distances)
        smallest = exact.amin(dim=1)
        index = torch.where(exact == smallest[:, None], self.order[places], len(self.order)).amin(dim=1)
        return smallest, index

    def _share(self, places: Tensor) -> int:
        return max(1, _ENTRIES // (places.shape[1] * max(1, self.points.shape[1])))

    def _all(self, row: Tensor, part: slice) -> tuple[float, int]:
        exact = self._distances(row, self.points[part])
        smallest = exact.min()
        return float(smallest), int(self.order[part][exact == smallest].min())

    def _distances(self, rows: Tensor, points: Tensor) -> Tensor:
        difference = rows.double() - points.double()
        return difference.norm(dim=-1) if self.norm == "l2" else difference.abs().amax(dim=-1)


def _check(inputs: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor, norm: str) -> None:
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    if inputs.shape[1:] != others.shape[1:] or inputs.ndim < 2 or inputs[:1].numel() == 0 < len(inputs):
        shapes = f"{tuple(inputs.shape[1:])} and {tuple(others.shape[1:])}"
        raise ValueError(f"samples and others must have one shape and an entry or more, got {shapes}")
    if len(inputs) != len(labels) or len(others) != len(other_labels):
        sizes = (len(inputs), len(labels)), (len(others), len(other_labels))
        raise ValueError(f"every sample needs one label, got {sizes[0]} inputs and labels, {sizes[1]} others")
    if not bool(inputs.isfinite().all()) or not bool(others.isfinite().all()):
        raise ValueError("finite values are needed, got NaN or infinity")
