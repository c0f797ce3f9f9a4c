"""Membership of a ball in exact arithmetic: what a rounding attack may use is not up to rounding itself."""

from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_DOUBT = 2.0**-40
"""Relative distance from the border within which float64 does not decide; far above its rounding for 2^10 entries."""


def is_inside(
    points: Float[Tensor, "points *shape"], centre: Float[Tensor, "*shape"], radius: float, norm: str
) -> Bool[Tensor, " points"]:
    """Whether ||point - centre|| <= radius in exact rational arithmetic on the stored numbers, "l2" or "linf".

    Float64 decides where it is far from the border, Fractions elsewhere.

    >>> is_inside(torch.tensor([[3.0, 4.0], [3.0, 4.0000005]]), torch.zeros(2), 5.0, "l2").tolist()
    [True, False]
    """
    difference = (points.double() - centre.double()).flatten(1)
    size = difference.norm(dim=1) if norm == "l2" else difference.abs().amax(dim=1)
    room = _DOUBT * max(1, difference.shape[1] // 1024)
    inside = size <= radius
    unclear = (size - radius).abs() <= room * radius
    unclear |= ~torch.isfinite(size) | (size < 2.0**-400)  # squares may have underflown or overflown
    for index in torch.nonzero(unclear).flatten().tolist():
        inside[index] = _exactly(points[index], centre, radius, norm)
    return inside


def _exactly(point: Tensor, centre: Tensor, radius: float, norm: str) -> bool:
    one, other = point.double().flatten(), centre.double().flatten()
    if not bool(torch.isfinite(one).all() & torch.isfinite(other).all()):
        return False
    moved = torch.nonzero(one != other).flatten()
    gaps = [Fraction(a) - Fraction(b) for a, b in zip(one[moved].tolist(), other[moved].tolist(), strict=True)]
    if norm == "linf":
        return all(abs(gap) <= Fraction(radius) for gap in gaps)
    return sum((gap * gap for gap in gaps), Fraction(0)) <= Fraction(radius) ** 2
