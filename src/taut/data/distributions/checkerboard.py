"""Uniform laws on the dark squares of a checkerboard."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.curves import whole
from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, positive


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Checkerboard(Distribution):
    """The uniform law on every other square of a board of `cells` x `cells` squares about 0, the lower left one dark.

    Args:
        cells: Squares on a side, at least 1.
        width: Of the whole board, above 0.

    Raises:
        ValueError: Numbers that are not allowed.

    Example:
        >>> Checkerboard(4, width=4).description
        'the dark squares of a checkerboard of 4 x 4 and width 4 about 0'
    """

    cells: int
    width: float

    def __init__(self, cells: Any = 4, *, width: Numbers = 4.0) -> None:
        object.__setattr__(self, "cells", whole(cells, "cells"))
        object.__setattr__(self, "width", positive(width, "width"))

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def description(self) -> str:
        return f"the dark squares of a checkerboard of {self.cells} x {self.cells} and width {self.width:g} about 0"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        dark = self._dark()
        corner = dark[torch.randint(len(dark), (count,), generator=generator)]
        inside = torch.rand(count, 2, dtype=torch.float64, generator=generator)
        return ((corner + inside) * (self.width / self.cells) - self.width / 2).float()

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """One over the area of the dark squares there, 0 elsewhere."""
        square = ((x.double() + self.width / 2) * (self.cells / self.width)).floor()
        on_board = ((square >= 0) & (square < self.cells)).all(dim=1)
        dark = on_board & (square.sum(dim=1) % 2 == 0)
        area = len(self._dark()) * (self.width / self.cells) ** 2
        return torch.where(dark, -math.log(area), -math.inf).double()

    def _dark(self) -> Tensor:
        places = torch.cartesian_prod(torch.arange(self.cells), torch.arange(self.cells))
        return places[places.sum(dim=1) % 2 == 0].double()
