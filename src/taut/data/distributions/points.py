"""Atoms: a law on finitely many points."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, listed, shown, sized, tensor_of, weights_of


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Points(Distribution):
    """The law sum_i w_i delta(x_i) of weighted points; samples are drawn from it independently, without end.

    Args:
        positions: One point a row, of any shape.
        weights: One for each point, at least 0, in any unit; equal ones when None.

    Raises:
        ValueError: Positions that are not rows, weights that do not fit, numbers that are not finite.

    Example:
        >>> points = Points([[0.0, 1.0], [2.0, 3.0]], weights=[1, 3])
        >>> points.description
        '2 weighted points in 2 dimensions: (0, 1), (2, 3)'
        >>> points.sample(5, torch.Generator()).shape
        torch.Size([5, 2])
    """

    positions: Float64[Tensor, "points *shape"]
    """One point a row."""
    weights: Float64[Tensor, " points"]
    """Their weights, which sum to 1."""

    def __init__(self, positions: Numbers, *, weights: Numbers | None = None) -> None:
        rows = tensor_of(positions, "positions")
        if rows.ndim < 2:
            raise ValueError(f"positions must be a list of points, such as [[0.0], [1.0]], got {shown(positions)}")
        object.__setattr__(self, "positions", rows)
        object.__setattr__(self, "weights", weights_of(weights, len(rows), "points"))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.positions.shape[1:])

    @property
    def description(self) -> str:
        count = len(self.positions)
        if count == 1:
            return f"the point {listed(self.positions)} {sized(self.shape)}"
        places = ", ".join(listed(point) for point in self.positions[:4]) + (", ..." if count > 4 else "")
        weighted = "" if bool((self.weights == self.weights[0]).all()) else "weighted "
        return f"{count} {weighted}points {sized(self.shape)}: {places}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return self.positions[chosen].float()
