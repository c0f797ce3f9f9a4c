"""Pairs of laws whose distance is one on the line: laws in one dimension, and laws that rotations leave alone."""

from torch import Tensor

from taut.data.distributions.exact.law import Law
from taut.data.distributions.exact.lines import ChiLine, LineLaw, NormalLine, Smooth, UniformLine, distance_on_line
from taut.data.distributions.exact.pieces import Atom, Box, Normal, Sphere
from taut.data.distributions.exact.potentials import Radial, Solution

_CLOSE = 1e-12


def one_dimensional(p: Law, q: Law) -> Solution | None:
    """W1 of laws in one dimension; None for others."""
    return Solution(*distance_on_line(_line(p), _line(q))) if p.dimension == 1 else None


def concentric(p: Law, q: Law) -> Solution | None:
    """W1 where both laws are mixtures of isotropic normal laws, of spheres and of points, all about one centre; None
    elsewhere.

    It is the distance of the laws of |x - c|: to move along the radius costs that, and no 1-Lipschitz function of
    |x - c| gains more than it.
    """
    centre = p.mean
    close = _CLOSE * max(p.reach, q.reach)
    radii_p, radii_q = _radial(p, centre, close), _radial(q, centre, close)
    if radii_p is None or radii_q is None or len({*_rotations(p), *_rotations(q)}) > 1:
        return None
    distance, profile = distance_on_line(radii_p, radii_q)
    return Solution(distance, Radial(centre, profile))


def _line(law: Law) -> LineLaw:
    atoms: list[tuple[float, float]] = []
    parts: list[tuple[float, Smooth]] = []
    for weight, piece in zip(law.weights.tolist(), law.pieces, strict=True):
        match piece:
            case Atom(position=position):
                atoms.append((weight, float(position)))
            case Sphere(centre=centre, radius=radius):
                atoms += [(weight / 2.0, float(centre) - radius), (weight / 2.0, float(centre) + radius)]
            case Normal(centre=centre, factor=factor):
                parts.append((weight, NormalLine(float(centre), float(factor))))
            case Box(low=low, high=high):
                parts.append((weight, UniformLine(float(low), float(high))))
    return LineLaw(tuple(atoms), tuple(parts))


def _rotations(law: Law) -> list[int]:
    """Dimensions of the spaces whose rotations leave the pieces alone; points at the centre do not mind."""
    moved = [piece for piece in law.pieces if not isinstance(piece, Atom)]
    return [piece.dimension if isinstance(piece, Sphere) else law.dimension for piece in moved]


def _radial(law: Law, centre: Tensor, close: float) -> LineLaw | None:
    """The law of the distance from `centre`, if rotations about it leave all pieces alone."""
    atoms: list[tuple[float, float]] = []
    parts: list[tuple[float, Smooth]] = []
    for weight, piece in zip(law.weights.tolist(), law.pieces, strict=True):
        if not bool(((piece.mean - centre).abs() <= close).all()):
            return None
        match piece:
            case Atom():
                atoms.append((weight, 0.0))
            case Sphere(radius=radius):
                atoms.append((weight, radius))
            case Normal(factor=factor) if factor.ndim == 1 and bool((factor == factor[0]).all()):
                parts.append((weight, ChiLine(law.dimension, float(factor[0]))))
            case _:
                return None
    return LineLaw(tuple(atoms), tuple(parts))
