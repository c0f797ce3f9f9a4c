"""Laws on the line by their distribution functions, and W1 as the integral of the difference of two of them."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from taut.data.distributions.exact.potentials import Line

_PER_UNIT = 1000
_TAIL = 10.0
_BISECTIONS = 70
_NOISE = 1e-14


class Smooth(ABC):
    """A law on the line without atoms."""

    @abstractmethod
    def below(self, x: Tensor) -> Tensor:
        """F(x), the mass below x."""

    @abstractmethod
    def area(self, x: Tensor) -> Tensor:
        """The integral of F up to x."""

    @abstractmethod
    def grid(self) -> Tensor:
        """Points between which F is nearly a parabola, and outside of which it is 0 or 1 to 1e-20."""


@final
@dataclass(frozen=True)
class NormalLine(Smooth):
    """A normal law."""

    mean: float
    std: float

    def below(self, x: Tensor) -> Tensor:
        return torch.special.ndtr((x - self.mean) / self.std)

    def area(self, x: Tensor) -> Tensor:
        z = (x - self.mean) / self.std
        return self.std * (z * torch.special.ndtr(z) + torch.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi))

    def grid(self) -> Tensor:
        return self.mean + self.std * _steps(-_TAIL, _TAIL)


@final
@dataclass(frozen=True)
class UniformLine(Smooth):
    """The uniform law of an interval."""

    low: float
    high: float

    def below(self, x: Tensor) -> Tensor:
        return ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def area(self, x: Tensor) -> Tensor:
        inside = x.clamp(self.low, self.high) - self.low
        return inside**2 / (2.0 * (self.high - self.low)) + (x - self.high).clamp_min(0.0)

    def grid(self) -> Tensor:
        return torch.tensor([self.low, self.high], dtype=torch.float64)


@final
@dataclass(frozen=True)
class ChiLine(Smooth):
    """The law of |X| for X normal in `dimension` dimensions, of mean 0 and the standard deviation `std` in each."""

    dimension: int
    std: float

    def below(self, x: Tensor) -> Tensor:
        return _chi(x / self.std, self.dimension)

    def area(self, x: Tensor) -> Tensor:
        d, z = self.dimension, (x / self.std).clamp_min(0.0)
        mean = math.sqrt(2.0) * math.exp(math.lgamma((d + 1) / 2.0) - math.lgamma(d / 2.0))
        return self.std * (z * _chi(z, d) - mean * _chi(z, d + 1))

    def grid(self) -> Tensor:
        middle = math.sqrt(self.dimension)
        return self.std * _steps(max(middle - _TAIL, 0.0), middle + _TAIL)


@final
@dataclass(frozen=True, eq=False)
class LineLaw:
    """Atoms and smooth parts with their weights, which sum to 1."""

    atoms: tuple[tuple[float, float], ...]
    """Weight and place of each."""
    parts: tuple[tuple[float, Smooth], ...]
    """Weight and law of each."""

    def places(self) -> Tensor:
        """The places of the atoms, ascending."""
        return torch.tensor(sorted(place for _, place in self.atoms), dtype=torch.float64)

    def below(self, x: Tensor, *, closed: bool = True) -> Tensor:
        """F(x), the mass at and below x; strictly below it when not `closed`."""
        places, masses, _ = self._sums()
        total = masses[torch.searchsorted(places, x.contiguous(), right=closed)]
        for weight, part in self.parts:
            total = total + weight * part.below(x)
        return total

    def area(self, x: Tensor) -> Tensor:
        """The integral of F up to x."""
        places, masses, moments = self._sums()
        index = torch.searchsorted(places, x.contiguous(), right=True)
        total = x * masses[index] - moments[index]
        for weight, part in self.parts:
            total = total + weight * part.area(x)
        return total

    def _sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """Places, ascending; masses and first moments of the first 0, 1, 2, ... of them."""
        ordered = torch.tensor(sorted(self.atoms, key=lambda atom: atom[1]), dtype=torch.float64).reshape(-1, 2)
        sums = torch.nn.functional.pad(torch.stack([ordered[:, 0], ordered.prod(dim=1)]).cumsum(1), (1, 0))
        return ordered[:, 1].contiguous(), sums[0], sums[1]


def distance_on_line(p: LineLaw, q: LineLaw) -> tuple[float, Line]:
    """W1(p, q) = int |F_p - F_q| dx, to 1e-9 of the widths, and a potential: its slope is the sign of F_q - F_p.

    The integral of F_p - F_q is known in closed form between any two points. Where the sign changes is found on a grid
    that has all atoms and kinks and a thousand points for each standard deviation, and then by bisection. Two changes
    between neighbours of the grid would be missed: their area is below 1e-10 standard deviations.
    """
    grids = [law.places() for law in (p, q)] + [part.grid() for law in (p, q) for _, part in law.parts]
    grid = torch.cat(grids).unique()
    ends = p.below(grid) - q.below(grid), p.below(grid, closed=False) - q.below(grid, closed=False)
    left, right = _clean(ends[0][:-1]), _clean(ends[1][1:])
    crossing = left * right < 0.0
    roots = _bisected(p, q, grid[:-1][crossing], grid[1:][crossing], left[crossing])
    knots = torch.cat([grid[:-1], roots])
    signs = torch.cat([torch.where(crossing, left, left + right), right[crossing]]).sign()
    order = knots.argsort(stable=True)
    knots, signs = knots[order], _filled(signs[order])
    kept = torch.cat([torch.ones(1, dtype=torch.bool), signs.diff() != 0.0]) if len(signs) else signs.bool()
    starts, signs = knots[kept], signs[kept]
    if not len(signs):
        return 0.0, Line(grid[:1], torch.zeros(1, dtype=torch.float64))
    borders = torch.cat([starts, grid[-1:]])
    areas = (p.area(borders) - q.area(borders)).diff()
    return float((signs * areas).sum().clamp_min(0.0)), Line(starts, -signs)


def _steps(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, 1 + math.ceil((high - low) * _PER_UNIT), dtype=torch.float64)


def _chi(z: Tensor, dimension: int) -> Tensor:
    return torch.special.gammainc(torch.full_like(z, dimension / 2.0), z.clamp_min(0.0).square() / 2.0)


def _clean(difference: Tensor) -> Tensor:
    """Differences that are rounding alone are none."""
    return torch.where(difference.abs() <= _NOISE, 0.0, difference)


def _bisected(p: LineLaw, q: LineLaw, low: Tensor, high: Tensor, at_low: Tensor) -> Tensor:
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        same_side = (p.below(middle) - q.below(middle)) * at_low > 0.0
        low, high = torch.where(same_side, middle, low), torch.where(same_side, high, middle)
    return (low + high) / 2.0


def _filled(signs: Tensor) -> Tensor:
    """Where the two functions agree every slope is right: that of the nearest interval before, or else behind."""
    known = signs.nonzero().flatten()
    if not len(known):
        return signs
    index = torch.searchsorted(known, torch.arange(len(signs)), right=True) - 1
    return signs[known[index.clamp_min(0)]]
