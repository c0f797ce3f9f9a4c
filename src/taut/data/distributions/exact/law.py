"""A distribution as a weighted list of pieces, and when two such lists are one law."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taut.data.distributions.cube import UniformCube
from taut.data.distributions.distribution import Distribution
from taut.data.distributions.exact.pieces import Atom, Box, Normal, Piece, Sphere
from taut.data.distributions.gaussian import Gaussian
from taut.data.distributions.mixture import Mixture
from taut.data.distributions.points import Points
from taut.data.distributions.shells import Shells

_CLOSE = 1e-12
_MOST = 4000


@dataclass(frozen=True, eq=False)
class Law:
    """sum_i w_i P_i over pieces P_i, in `dimension` entries."""

    weights: Tensor
    pieces: tuple[Piece, ...]

    @property
    def dimension(self) -> int:
        return len(self.pieces[0].mean)

    @property
    def mean(self) -> Tensor:
        return self.weights @ torch.stack([piece.mean for piece in self.pieces])

    @property
    def spread(self) -> float:
        """Root of the mean squared distance (l2) from the mean."""
        mean = self.mean
        squares = [piece.variance + float((piece.mean - mean).square().sum()) for piece in self.pieces]
        return float(self.weights @ self.weights.new_tensor(squares)) ** 0.5

    @property
    def reach(self) -> float:
        """Size of its coordinates and its spread: the unit of rounding."""
        return max(float(piece.features.abs().max()) for piece in self.pieces)

    def mapped(self, factor: float, shift: Tensor) -> "Law":
        """The law of factor * X + shift."""
        if factor == 0.0:
            return Law(torch.ones(1, dtype=torch.float64), (Atom(shift),))
        return Law(self.weights, tuple(piece.mapped(factor, shift) for piece in self.pieces))


def law_of(distribution: Distribution) -> Law | None:
    """The pieces of a distribution, those without weight left out and equal atoms united; None where not all are known,
    or there are more than 4000 of them."""
    found = _pieces(distribution)
    if found is None or len(found) > _MOST:
        return None
    weights: dict[object, float] = {}
    pieces: dict[object, Piece] = {}
    for weight, piece in found:
        key = (piece.kind, tuple(piece.features.tolist())) if isinstance(piece, Atom) else id(piece)
        weights[key] = weights.get(key, 0.0) + weight
        pieces[key] = piece
    return Law(torch.tensor(list(weights.values()), dtype=torch.float64), tuple(pieces.values()))


def same(p: Law, q: Law) -> bool:
    """Whether the laws are one, up to 1e-12 of their coordinates: then their distance is of that size at most."""
    close = _CLOSE * max(p.reach, q.reach)
    left, right = _kinds(p), _kinds(q)
    return left.keys() == right.keys() and all(_matched(left[kind], right[kind], close) for kind in left)


def _pieces(distribution: Distribution) -> list[tuple[float, Piece]] | None:
    match distribution:
        case Points(positions=rows, weights=weights):
            pairs = zip(weights.tolist(), rows.flatten(1), strict=True)
            return [(weight, Atom(row)) for weight, row in pairs if weight > 0.0]
        case Shells(centres=centres, radius=radius, empty_dimensions=empty):
            rows = torch.nn.functional.pad(centres, (0, empty))
            return [(1.0 / len(rows), Sphere(row, radius, centres.shape[1])) for row in rows]
        case Gaussian(mean=mean, factor=factor):
            return [(1.0, Normal(mean.flatten(), factor))]
        case UniformCube(low=low, high=high):
            return [(1.0, Box(low.flatten(), high.flatten()))]
        case Mixture(components=components, weights=weights):
            return _mixed(components, weights)
    return None


def _mixed(components: tuple[Distribution, ...], weights: Tensor) -> list[tuple[float, Piece]] | None:
    together: list[tuple[float, Piece]] = []
    for share, component in zip(weights.tolist(), components, strict=True):
        if share > 0.0:
            found = _pieces(component)
            if found is None:
                return None
            together += [(share * weight, piece) for weight, piece in found]
    return together


def _kinds(law: Law) -> dict[object, tuple[Tensor, Tensor]]:
    """Features and weights of the pieces of each kind."""
    rows: dict[object, list[int]] = {}
    for index, piece in enumerate(law.pieces):
        rows.setdefault(piece.kind, []).append(index)
    return {
        kind: (torch.stack([law.pieces[index].features for index in chosen]), law.weights[chosen])
        for kind, chosen in rows.items()
    }


def _matched(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor], close: float) -> bool:
    """Whether the pieces of one kind are the same in some order, with the same weights."""
    (left, left_weights), (right, right_weights) = p, q
    if left.shape != right.shape:
        return False
    order = torch.arange(len(left))
    if not bool(((left - right).abs() <= close).all()):
        order = torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
        if len(order.unique()) < len(order) or not bool(((left - right[order]).abs() <= close).all()):
            return False
    return bool(((left_weights - right_weights[order]).abs() <= _CLOSE * left_weights).all())
