"""Centres against spheres about them, where the spheres are far enough from each other."""

import torch
from torch import Tensor

from taut.data.distributions.exact.law import Law
from taut.data.distributions.exact.pieces import Atom, Sphere
from taut.data.distributions.exact.potentials import Cones, Solution

_CLOSE = 1e-12


def separated(p: Law, q: Law) -> Solution | None:
    """W1 where both laws are uniform on spheres, of one radius each (0: points), about the same centres, which are at
    least twice the larger radius from each other; None elsewhere.

    It is the difference R of the radii: moving along the radius costs R, and the distance to the nearest centre, which
    is the own centre for every point of the spheres, gains R.
    """
    found_p, found_q = _centred(p), _centred(q)
    if found_p is None or found_q is None:
        return None
    (left, inner), (right, outer) = found_p, found_q
    if len({piece.dimension for piece in (*p.pieces, *q.pieces) if isinstance(piece, Sphere)}) > 1:
        return None
    if left.shape != right.shape or len(left) < 2:
        return None
    exact = "donot_use_mm_for_euclid_dist"
    close = _CLOSE * max(p.reach, q.reach)
    order = torch.cdist(left, right, compute_mode=exact).argmin(dim=1)
    if len(order.unique()) < len(order) or not bool(((left - right[order]).abs() <= close).all()):
        return None
    if float(torch.pdist(left).min()) < 2.0 * max(inner, outer) - close:
        return None
    return Solution(abs(outer - inner), Cones(left, -1.0 if outer > inner else 1.0))


def _centred(law: Law) -> tuple[Tensor, float] | None:
    """Centres and common radius of equally likely spheres or points."""
    if not bool(((law.weights - law.weights.mean()).abs() <= _CLOSE * law.weights.mean()).all()):
        return None
    if len({piece.kind for piece in law.pieces}) > 1:
        return None
    if all(isinstance(piece, Atom) for piece in law.pieces):
        return torch.stack([piece.mean for piece in law.pieces]), 0.0
    radii = {piece.radius for piece in law.pieces if isinstance(piece, Sphere)}
    if len(radii) != 1:
        return None
    return torch.stack([piece.mean for piece in law.pieces]), radii.pop()
