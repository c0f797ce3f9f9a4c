"""Laws of which one is a dilation and shift of the other."""

from taut.data.distributions.exact.law import Law, same
from taut.data.distributions.exact.norms import mean_norm
from taut.data.distributions.exact.pieces import Atom
from taut.data.distributions.exact.potentials import Cones, Linear, Reversed, Solution

_CLOSE = 1e-12


def dilated(p: Law, q: Law) -> Solution | None:
    """W1 where q is the law of T(X) = k X + b, k >= 0, for X drawn from p, or the other way round; None elsewhere.

    It is E|T(X) - X|. T moves every point along the ray from its fixed point c = b / (1 - k), so that the 1-Lipschitz
    functions |x - c| and -|x - c| gain all that is moved; for k = 1 the linear function along b does. k = 0 is the
    distance of a law from a point.
    """
    if _is_point(p) and not _is_point(q):
        back = dilated(q, p)
        return back and Solution(back.distance, Reversed(back.potential))
    factor = 1.0 if _is_point(p) else 0.0 if _is_point(q) else q.spread / (p.spread or 1.0)  # 0: too small to square
    if abs(factor - 1.0) * p.spread <= _CLOSE * max(p.reach, q.reach):
        factor = 1.0
    shift = q.mean - factor * p.mean
    if not same(p.mapped(factor, shift), q):
        return None
    distance = mean_norm(p.mapped(factor - 1.0, shift))
    if factor != 1.0:
        return Solution(distance, Cones((shift / (1.0 - factor))[None], 1.0 if factor < 1.0 else -1.0))
    length = float(shift.norm())
    return Solution(distance, Linear(-shift / length if length else shift))


def _is_point(law: Law) -> bool:
    return len(law.pieces) == 1 and isinstance(law.pieces[0], Atom)
