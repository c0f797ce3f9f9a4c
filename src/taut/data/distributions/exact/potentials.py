"""Kantorovich potentials: 1-Lipschitz functions (l2) whose means under two laws differ by their distance."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


class Potential(ABC):
    """A 1-Lipschitz function f (l2) with E_p f - E_q f = W1(p, q); it is determined up to a constant at best."""

    def __call__(self, samples: Float[Tensor, "count *shape"]) -> Float[Tensor, " count"]:
        """One value for each sample, in the samples' precision."""
        return self.values(samples.flatten(1).double()).to(samples.dtype)

    @abstractmethod
    def values(self, rows: Tensor) -> Tensor:
        """One value for each row of float64 entries."""


@final
@dataclass(frozen=True, eq=False)
class Cones(Potential):
    """sign * (distance to the nearest centre)."""

    centres: Tensor
    sign: float

    def values(self, rows: Tensor) -> Tensor:
        exact = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(rows, self.centres.to(rows.device), compute_mode=exact)
        return 0.0 + self.sign * distances.amin(dim=1)


@final
@dataclass(frozen=True, eq=False)
class Linear(Potential):
    """The product with a vector of length 1, or with 0."""

    direction: Tensor

    def values(self, rows: Tensor) -> Tensor:
        return rows @ self.direction.to(rows.device)


@final
@dataclass(frozen=True, eq=False)
class Line(Potential):
    """A piecewise linear function of one number: 0 at the first knot, slopes[i] behind knot i, slopes[0] before all."""

    knots: Tensor
    slopes: Tensor

    def values(self, rows: Tensor) -> Tensor:
        knots, slopes = self.knots.to(rows.device), self.slopes.to(rows.device)
        heights = torch.cat([knots.new_zeros(1), (slopes[:-1] * knots.diff()).cumsum(0)])
        numbers = rows[:, 0].contiguous()
        index = (torch.searchsorted(knots, numbers, right=True) - 1).clamp_min(0)
        return heights[index] + slopes[index] * (numbers - knots[index])


@final
@dataclass(frozen=True, eq=False)
class Radial(Potential):
    """A function of the distance from a centre."""

    centre: Tensor
    profile: Line

    def values(self, rows: Tensor) -> Tensor:
        return self.profile.values((rows - self.centre.to(rows.device)).norm(dim=1, keepdim=True))


@final
@dataclass(frozen=True, eq=False)
class Reversed(Potential):
    """The potential of the two laws in the other order."""

    other: Potential

    def values(self, rows: Tensor) -> Tensor:
        return 0.0 - self.other.values(rows)


@dataclass(frozen=True, eq=False)
class Solution:
    """A distance that is known, with a function that attains it."""

    distance: float
    potential: Potential
