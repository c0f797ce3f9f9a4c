"""Laws near curves in the plane: moons, circles and spirals, with normal noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, positive, shown, tensor_of

Curve = Callable[[Tensor, Tensor], Tensor]
"""(number of the piece, place on it in [0, 1]) -> (x, y), as (count, 2)."""

_NODES_PER_NOISE = 4
_MOST_NODES = 2**18
"""A density at a million points takes hours with more."""
_CHUNK = 2**22


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NoisyCurves(Distribution):
    """The law of c(T) + noise Z: T uniform on the pieces of a curve in the plane, Z standard normal.

    `moons`, `circles` and `spirals` make them.

    Example:
        >>> moons(noise=0.1).sample(3, torch.Generator()).shape
        torch.Size([3, 2])
    """

    curve: Curve
    pieces: int
    """Curves of equal weight."""
    length: float
    """At least that of the longest piece."""
    noise: float
    """Standard deviation about the curve, above 0."""
    text: str
    """Its description."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def description(self) -> str:
        return self.text

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        chosen = torch.randint(self.pieces, (count,), generator=generator)
        place = torch.rand(count, dtype=torch.float64, generator=generator)
        normal = torch.randn(count, 2, dtype=torch.float64, generator=generator)
        return (self.curve(chosen, place) + self.noise * normal).float()

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """By Gauss-Legendre quadrature over the curve, with nodes closer to each other than the noise is wide; None for
        noise below some 1e-5 of the length, where there would be too many."""
        if _NODES_PER_NOISE * self.pieces * self.length / self.noise > _MOST_NODES:
            return None
        panels = math.ceil(_NODES_PER_NOISE * self.length / self.noise / 16) + 1
        nodes, weights = _gauss_legendre(panels)
        chosen = torch.arange(self.pieces).repeat_interleave(len(nodes))
        centres = self.curve(chosen, nodes.repeat(self.pieces))
        masses = (weights / self.pieces).repeat(self.pieces).log()
        rows = max(1, _CHUNK // len(centres))
        values = []
        for part in x.double().split(rows):
            squares = (part[:, None] - centres).square().sum(dim=2) / (2 * self.noise**2)
            values.append((masses - squares).logsumexp(dim=1))
        return torch.cat(values) - math.log(2 * math.pi * self.noise**2)


def moons(*, noise: Numbers = 0.05) -> NoisyCurves:
    """Two half circles of radius 1 that reach into each other, as scikit-learn has them: about (0, 0) and (1, 0.5).

    Args:
        noise: Standard deviation about them, above 0.

    Example:
        >>> moons(noise=0.05).description
        'two moons of radius 1 with noise 0.05'
    """
    width = positive(noise, "noise")

    def curve(piece: Tensor, place: Tensor) -> Tensor:
        angle = math.pi * place
        upper = torch.stack([angle.cos(), angle.sin()], dim=1)
        return torch.where(piece[:, None] == 0, upper, torch.tensor([1.0, 0.5], dtype=torch.float64) - upper)

    text = f"two moons of radius 1 with noise {width:g}"
    return NoisyCurves(curve=curve, pieces=2, length=math.pi, noise=width, text=text)


def circles(radii: Numbers = (1.0, 2.0), *, noise: Numbers = 0.05) -> NoisyCurves:
    """Circles about 0, each as likely as the others.

    Args:
        radii: Of the circles, above 0.
        noise: Standard deviation about them, above 0.

    Example:
        >>> circles([1, 2, 3], noise=0.1).description
        'circles of radius 1, 2, 3 about 0 with noise 0.1'
    """
    sizes, width = torch.atleast_1d(tensor_of(radii, "radii")), positive(noise, "noise")
    if sizes.ndim != 1 or float(sizes.min()) <= 0.0:
        raise ValueError(f"radii must be one or more numbers above 0, got {shown(radii)}")

    def curve(piece: Tensor, place: Tensor) -> Tensor:
        angle = 2 * math.pi * place
        return sizes[piece][:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    text = f"circles of radius {', '.join(f'{size:g}' for size in sizes.tolist())} about 0 with noise {width:g}"
    length = 2 * math.pi * float(sizes.max())
    return NoisyCurves(curve=curve, pieces=len(sizes), length=length, noise=width, text=text)


def spirals(arms: Any = 2, *, turns: Numbers = 1.25, radius: Numbers = 3.0, noise: Numbers = 0.1) -> NoisyCurves:
    """Arms that leave the neighbourhood of 0 and wind outwards, the radius growing in proportion to the angle.

    Args:
        arms: How many, at least 1; they are turned copies of one.
        turns: Of each arm, from half a turn on: the angle goes from pi to pi + 2 pi `turns`.
        radius: At the outer end.
        noise: Standard deviation about them, above 0.

    Example:
        >>> spirals(2).description
        '2 spiral arms of 1.25 turns and radius 3 with noise 0.1'
    """
    count, winds = whole(arms, "arms"), positive(turns, "turns")
    outer, width = positive(radius, "radius"), positive(noise, "noise")
    last = math.pi * (1 + 2 * winds)

    def curve(piece: Tensor, place: Tensor) -> Tensor:
        # the square root of a uniform number: about as many samples on each length of the arm
        angle = (math.pi**2 + place * (last**2 - math.pi**2)).sqrt()
        turned = angle + 2 * math.pi * piece / count
        return (outer * angle / last)[:, None] * torch.stack([turned.cos(), turned.sin()], dim=1)

    text = f"{count} spiral arms of {winds:g} turns and radius {outer:g} with noise {width:g}"
    # the speed is about (last^2 - pi^2) / 2 times outer / last, and the same everywhere
    return NoisyCurves(curve=curve, pieces=count, length=outer * last, noise=width, text=text)


def whole(value: Any, name: str) -> int:
    """A whole number of at least 1. Raises ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {shown(value)}")
    return value


def _gauss_legendre(panels: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], 16 in each of so many equal panels."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(16))
    starts = torch.arange(panels, dtype=torch.float64)[:, None] / panels
    return (starts + (nodes + 1) / 2 / panels).flatten(), (weights / 2 / panels).repeat(panels)
