r"""What is known of an activation: quadratic constraints on how its output changes with its input.

Let v and d be the changes of the input and the output between two points. Every constraint here has the form

    d = M v + u,   u = Pi u,   u^T V^-1 u <= v^T R V^-1 R v   for every diagonal V > 0 that is allowed,

with symmetric M, R, and a projector Pi that commutes with V.

- Slopes in [a_i, b_i], neuron by neuron: m_i = (a_i + b_i) / 2, r_i = (b_i - a_i) / 2, and |u_i| <= r_i |v_i|. Pi = I;
  any V. This is the constraint of LipSDP-neuron (Fazlyab et al., 2019), after a loop transformation.
- Sorting groups of g entries. Sorting keeps the sum, so the means of v and d over a group agree: with P the average
  over the group, P d = P v. It is 1-Lipschitz, |d| <= |v|, as <x sorted, y sorted> >= <x, y> (the rearrangement
  inequality); taking the equal means off both sides, |(I - P) d| <= |(I - P) v|. So M = P, R = Pi = I - P, and V is
  one number for each group. The order in which a group is put out does not matter. The multipliers of Pauli et al.
  (2024) for GroupSort say the same: their lambda is 1 / V, and the others are free because the means agree.

All numbers are exact: m and r are floats with [m - r, m + r] containing the slopes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_NARROWEST = 2.0**-26
"""A sector is not narrower than this share of its slopes (a wider one holds as well), so that R can be divided by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes:
    """Entry by entry, slopes within m - r and m + r."""

    m: Float[Tensor, " n"]
    r: Float[Tensor, " n"]
    """Positive."""

    def multipliers(self) -> int:
        return len(self.m)

    def spread(self, values: Tensor) -> Tensor:
        """One number per multiplier, given to each entry: (k) -> (n)."""
        return values

    def gather(self, values: Tensor) -> Tensor:
        """The largest of the entries' numbers, for each multiplier: (n) -> (k)."""
        return values

    def middle(self, matrix: Tensor) -> Tensor:
        """M times a matrix of n rows."""
        return self.m[:, None] * matrix

    def radius(self, matrix: Tensor) -> Tensor:
        """R times a matrix of n rows."""
        return self.r[:, None] * matrix

    def free(self, v: Tensor) -> Tensor:
        """Pi V Pi, a matrix, for the diagonal of V."""
        return torch.diag(v)

    def roundings(self) -> int:
        """How many chained roundings `middle` or `radius` costs at most."""
        return 1

    def size(self) -> float:
        """Upper bound of || |M| || and || |R| ||, with |R| what is summed up to find R times a matrix."""
        return float(torch.maximum(self.m.abs(), self.r).max())

    def margin(self) -> float:
        """A factor that moves the multipliers in closed form off the edge of what is allowed."""
        return max(1.0, 1.25 * float((self.r / (self.r + self.m.abs())).max()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Contiguous groups of `group` entries, each sorted."""

    group: int
    count: int
    """Number of groups."""

    def multipliers(self) -> int:
        return self.count

    def spread(self, values: Tensor) -> Tensor:
        """One number per multiplier, given to each entry: (k) -> (n)."""
        return values.repeat_interleave(self.group)

    def gather(self, values: Tensor) -> Tensor:
        """The largest of the entries' numbers, for each multiplier: (n) -> (k)."""
        return values.reshape(self.count, self.group).amax(dim=1)

    def middle(self, matrix: Tensor) -> Tensor:
        """P times a matrix of n rows."""
        means = matrix.reshape(self.count, self.group, -1).sum(dim=1) / self.group
        return means.repeat_interleave(self.group, dim=0)

    def radius(self, matrix: Tensor) -> Tensor:
        """(I - P) times a matrix of n rows."""
        return matrix - self.middle(matrix)

    def free(self, v: Tensor) -> Tensor:
        """V (I - P), a matrix, for the diagonal of V."""
        return self.radius(torch.diag(v))

    def roundings(self) -> int:
        """How many chained roundings `middle` or `radius` costs at most."""
        return self.group + 1

    def size(self) -> float:
        """Upper bound of || |M| || and || |R| ||, with |R| what is summed up to find R times a matrix."""
        return 2.0

    def margin(self) -> float:
        """A factor that moves the multipliers in closed form off the edge of what is allowed."""
        return 1.25


Sector = Slopes | Groups


def slopes(low: Tensor | float, high: Tensor | float, width: int) -> Slopes:
    """Exact m and r with m - r <= low <= high <= m + r, for numbers of the whole layer or one of each neuron.

    >>> slopes(0.0, 1.0, 1)
    Slopes(m=tensor([0.5000], dtype=torch.float64), r=tensor([0.5000], dtype=torch.float64))
    """
    bottom, top = (torch.as_tensor(end, dtype=torch.float64).reshape(-1).expand(width) for end in (low, high))
    m = (bottom + top) / 2.0
    half = torch.maximum(top - m, m - bottom)
    exact = (bottom == 0.0) | (bottom == -top)
    r = torch.where(exact, half, half * (1.0 + 2.0**-50))  # of m as it is, each difference is rounded once
    return Slopes(m=m, r=torch.maximum(r, _NARROWEST * m.abs().clamp_min(_NARROWEST)))


def sorted_groups(group: int, width: int) -> Groups:
    """Groups of `group` neighbours among `width` entries; ValueError where they do not divide."""
    if width % group:
        raise ValueError(f"groups of {group} do not divide {width} entries")
    return Groups(group=group, count=width // group)
