r"""Multipliers in closed form for the proof in `ellipsoids`, computed without rigour: any of them can be proven to give
some bound.

ECLipsE-Fast (Xu and Sivaranjani, 2024): with y the largest eigenvalue of Y, v_i = y r_i (r_i + |m_i|) makes
y (r_i + |m_i|)^2 I an ellipsoid behind the activation, as the product rule does, and the one without loss is smaller.
For slopes in [0, 1] that is v = y / 2, or Lambda = 2 / y. For sorted groups v = y.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.chains.reading import Layer
from taut.certify.chains.sectors import Sector, Slopes

_SLACK = 1.0 + 1e-9
"""V - R Y R has to be positive also where y is attained."""
_WIDEST = 8.0
"""|m| / r up to which the shorter formula for the next ellipsoid is as accurate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A chain of weights, scaled so that ellipsoids are of order 1, with multipliers and what they give."""

    layers: tuple[Layer, ...]
    """Weights W_l / 2^exponent_l, up to entries that fall below the float64 range."""
    exponents: tuple[int, ...]
    multipliers: tuple[Tensor | None, ...]
    """Diagonals of V, one number for each multiplier of a sector; None for a layer without one."""
    gain: float
    """The square of the Lipschitz constant of the scaled chain that they give, as computed."""


@torch.no_grad()
def eclipse(layers: Sequence[Layer]) -> Proposal | None:
    """Multipliers in closed form, and the powers of two that go with them; None where numbers leave their range."""
    scaled: list[Layer] = []
    exponents: list[int] = []
    multipliers: list[Tensor | None] = []
    after: Tensor | None = None
    for layer in layers:
        exponent = math.frexp(float(layer.weight.abs().amax()))[1]
        weight = times_power(layer.weight, -exponent)
        before = weighted(weight, after)
        top = largest_eigenvalue(before)
        if not 0.0 < top < math.inf:
            return None
        shift = math.frexp(math.sqrt(top))[1]
        weight, before, top = times_power(weight, -shift), before * 4.0**-shift, top * 4.0**-shift
        v = None if layer.sector is None else closed_form(layer.sector, top)
        after = before if layer.sector is None or v is None else behind(layer.sector, v, before)
        if after is None:
            return None
        scaled.append(replace(layer, weight=weight))
        exponents.append(exponent + shift)
        multipliers.append(v)
    gain = math.inf if after is None else largest_eigenvalue(after)
    return Proposal(layers=tuple(scaled), exponents=tuple(exponents), multipliers=tuple(multipliers), gain=gain)


def closed_form(sector: Sector, top: float) -> Float[Tensor, " k"]:
    """The multipliers of ECLipsE-Fast behind an ellipsoid whose largest eigenvalue is `top`."""
    if isinstance(sector, Slopes):
        return _SLACK * top * sector.r * (sector.r + sector.m.abs())
    return torch.full((sector.multipliers(),), _SLACK * top, dtype=torch.float64)


def weighted(weight: Tensor, ellipsoid: Tensor | None) -> Tensor:
    """W Z W^T; Z = I for None."""
    return weight @ weight.T if ellipsoid is None else weight @ ellipsoid @ weight.T


def room(sector: Sector, v: Tensor, before: Tensor) -> Tensor | None:
    """The Cholesky factor of V - R Y R; None where V is too small."""
    factor, failed = torch.linalg.cholesky_ex(torch.diag(sector.spread(v)) - sector.radius(sector.radius(before).T))
    return None if bool(failed) else factor


def behind(sector: Sector, v: Tensor, before: Tensor) -> Tensor | None:
    """The smallest Z = Pi V Pi + M Y M + M Y R (V - R Y R)^-1 R Y M; None where V is too small."""
    factor = room(sector, v, before)
    return None if factor is None else _behind(sector, v, before, factor)


def _behind(sector: Sector, v: Tensor, before: Tensor, factor: Tensor) -> Tensor:
    cross = sector.middle(sector.radius(before).T).T
    part = torch.linalg.solve_triangular(factor, cross, upper=False)
    return sector.free(sector.spread(v)) + sector.middle(sector.middle(before).T) + part.T @ part


def behind_and_weighted(
    weight: Tensor,
    sector: Sector,
    v: Tensor,
    before: Tensor,
    factor: Tensor,
) -> Tensor:
    """W Z W^T with Z = `behind`; for slopes with N = M / R by the shorter Z = V - N V N + N V (V - R Y R)^-1 V N."""
    if not isinstance(sector, Slopes) or bool((sector.m.abs() > _WIDEST * sector.r).any()):
        return weighted(weight, _behind(sector, v, before, factor))
    ratio = sector.m / sector.r
    part = torch.linalg.solve_triangular(factor, (v * ratio)[:, None] * weight.T, upper=False)
    rest = 1.0 - ratio.square()
    result = part.T @ part
    return result + (weight * (v * rest)) @ weight.T if bool(rest.any()) else result


def times_power(values: Float[Tensor, "out in"], exponent: int) -> Float[Tensor, "out in"]:
    """2^exponent times the values; in two factors, as the power itself may be out of range."""
    half = exponent // 2
    return values * 2.0**half * 2.0 ** (exponent - half)


def largest_eigenvalue(matrix: Tensor) -> float:
    """As computed; NaN where it cannot be."""
    if not bool(matrix.isfinite().all()):
        return math.nan
    try:
        return float(torch.linalg.eigvalsh(matrix)[-1])
    except torch.linalg.LinAlgError:
        return math.nan
