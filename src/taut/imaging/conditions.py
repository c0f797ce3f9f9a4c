r"""The convergence theorems of plug-and-play iterations, as functions of proven numbers.

f(x) = |A x - y|^2 / 2 has the gradient constant L = ||A||^2 and the convexity mu = sigma_min(A)^2. Numbers are compared
exactly, as fractions of the bounds. A factor nearer to 1 than 1e-4 is not called a contraction, though it is one:
rounding is amplified by 1 / (1 - factor), and nothing would be left of the statement.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from taut.certify.rounding import div_down, mul_up
from taut.imaging.condition import Condition, positive, product, upwards
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator

_CONTRACTS = 1 - Fraction(1, 10**4)

BANACH = "Banach (1922)"
COMBETTES = "Combettes and Yamada (2015); Bauschke and Combettes (2017), theorem 5.15"
LIONS = "Lions and Mercier (1979); Eckstein and Bertsekas (1992)"
RYU = "Ryu, Liu, Wang, Chen, Wang and Yin (2019), theorem 2"
CONDAT = "Condat (2013); Vu (2013)"


def default_step(operator: LinearOperator) -> float:
    """1 / ||A||^2, rounded down: allowed by the theorem of every iteration. ValueError for an operator that is zero."""
    if operator.norm_bound == 0.0:
        raise ValueError(f"{operator.description} maps every image to zero")
    return div_down(1.0, mul_up(operator.norm_bound, operator.norm_bound))


def forward_backward_condition(denoiser: ProvenDenoiser, operator: LinearOperator, *, step: float) -> Condition:
    r"""T = D(I - step grad f), or (I - step grad f) D: both orders have the same theorems.

    I - step grad f is averaged for 0 < step < 2 / L, and max(|1 - step mu|, |1 - step L|)-Lipschitz. With D averaged T
    is averaged: converges, residual monotone in l2. With D nonexpansive T is nonexpansive: monotone, but it may circle
    for ever. If the constants multiply to less than 1, T contracts.

    >>> from taut.imaging import tv_denoiser
    >>> from taut.imaging.operators import Identity
    >>> forward_backward_condition(tv_denoiser(weight=0.1), Identity((1, 4, 4)), step=2.5).reason
    'the step must be below 2 / ||A||^2 = 2, got 2.5'
    """
    square, convex = _curvatures(operator)
    length = Fraction(positive("step", step))
    gain = max(abs(1 - length * convex), abs(1 - length * square))
    factor = product(denoiser.lipschitz_bound, gain)
    made = _maker("forward-backward", "l2")
    if factor <= _CONTRACTS:
        return made(BANACH, "T is a contraction", factor=upwards(factor))
    averaged = "T is averaged, as a composition of averaged maps: D is, and the gradient step is below 2 / ||A||^2"
    nonexpansive = denoiser.lipschitz_bound <= 1.0
    if nonexpansive and length * square >= 2:
        limit = f"the step must be below 2 / ||A||^2 = {float(2 / square):.6g}, got {step:.6g}"
        return made(COMBETTES, averaged, reason=limit, monotone=length * square == 2)
    if denoiser.averaged is None:
        return made(COMBETTES, averaged, reason=_not_averaged(denoiser, factor), monotone=nonexpansive)
    return made(COMBETTES, averaged)


def douglas_rachford_condition(denoiser: ProvenDenoiser, operator: LinearOperator, *, step: float) -> Condition:
    r"""T = (I + (2 D - I)(2 P - I)) / 2 with P the proximal operator of step f.

    With D firmly nonexpansive, 2 D - I is nonexpansive and T firmly nonexpansive: converges, residual monotone in l2.
    2 P - I is Lipschitz with max((1 - step mu) / (1 + step mu), (step L - 1) / (step L + 1)), so that T may be a
    contraction for a strongly convex f. So it may by the theorem of Ryu et al., for D - I with a constant eps < 1:
    (1 + eps + eps m + 2 eps^2 m) / (1 + m + 2 eps m) with m = step mu.
    """
    made = _maker("Douglas-Rachford", "l2")
    contraction = min(_reflections(denoiser, operator, step), _ryu(denoiser, operator, step))
    if contraction <= _CONTRACTS:
        by_ryu = contraction < _reflections(denoiser, operator, step)
        text = "T is a contraction: f is strongly convex and " + ("D - I" if by_ryu else "2 D - I") + " is small enough"
        return made(RYU if by_ryu else BANACH, text, factor=upwards(contraction))
    return _firm(made, denoiser, operator)


def admm_condition(denoiser: ProvenDenoiser, operator: LinearOperator, *, step: float) -> Condition:
    r"""T = (I + (2 P - I)(2 D - I)) / 2: Douglas-Rachford with the two in the other order, in the variable x + u.

    The same theorems hold, but for that of Ryu et al.: as 2 P - I is affine, it maps the iterates of the one order to
    those of the other. So the iteration converges then as well, but the residual need not fall monotonically in l2.
    """
    made = _maker("ADMM", "l2")
    contraction = _reflections(denoiser, operator, step)
    if contraction <= _CONTRACTS:
        text = "T is a contraction: f is strongly convex and 2 D - I is small enough"
        return made(BANACH, text, factor=upwards(contraction))
    if denoiser.reflected_bound > 1.0 and _ryu(denoiser, operator, step) <= _CONTRACTS:
        return made(RYU, "the reflection 2 P - I conjugates T to a contraction", monotone=False)
    return _firm(made, denoiser, operator)


def primal_dual_condition(
    denoiser: ProvenDenoiser, operator: LinearOperator, *, step: float, dual_step: float, form: str = "dual"
) -> Condition:
    r"""x+ = D(x - step (grad + K^T u)), u+ = prox of dual_step h* at u + dual_step K (2 x+ - x).

    Form "dual": h is the data fit, K = A, and no gradient, G = 0. Form "box": K = I, h keeps the picture in a box, and
    the gradient is that of the data fit, G = L. With D firmly nonexpansive and 1 / step - dual_step ||K||^2 > G / 2 the
    map is averaged in the norm |x|^2 - 2 step <K x, u> + (step / dual_step) |u|^2, in which the residual is monotone.
    """
    made = _maker("primal-dual", "primal-dual")
    square, _ = _curvatures(operator)
    coupling, gradient = (square, Fraction(0)) if form == "dual" else (Fraction(1), square)
    room = 1 / Fraction(positive("step", step)) - Fraction(positive("dual_step", dual_step)) * coupling
    text = "T is averaged in the primal-dual norm: D is firmly nonexpansive, and the steps leave room"
    if denoiser.reflected_bound > 1.0:
        return made(CONDAT, text, reason=_not_firm(denoiser), monotone=False)
    if room <= gradient / 2:
        wanted = f"1 / step - dual_step ||K||^2 must be above {float(gradient / 2):.6g}"
        reason = f"{wanted}, got {float(room):.6g} with ||K||^2 = {float(coupling):.6g}"
        return made(CONDAT, text, reason=reason, monotone=room == gradient / 2 and room > 0)
    return made(CONDAT, text)


_Made = Callable[..., Condition]


def _maker(algorithm: str, norm: str) -> _Made:
    """Conditions of one algorithm. Without a reason convergence is proven, and monotony unless said otherwise."""

    def made(
        source: str, theorem: str, *, reason: str | None = None, factor: float | None = None, monotone: bool = True
    ) -> Condition:
        return Condition(
            algorithm=algorithm,
            converges=reason is None,
            monotone=monotone,
            factor=factor,
            norm=norm,
            theorem=theorem,
            source=source,
            reason=reason,
        )

    return made


def _firm(made: _Made, denoiser: ProvenDenoiser, operator: LinearOperator) -> Condition:
    text = "T is firmly nonexpansive: both reflections are nonexpansive, as D is firmly nonexpansive"
    if denoiser.reflected_bound <= 1.0:
        return made(LIONS, text)
    _, convex = _curvatures(operator)
    beside = "" if convex > 0 else ", and the data fit is not proven strongly convex, which would allow another theorem"
    return made(LIONS, text, reason=_not_firm(denoiser) + beside, monotone=False)


def _curvatures(operator: LinearOperator) -> tuple[Fraction, Fraction]:
    """Bounds of L from above and of mu from below, exactly squared."""
    return Fraction(operator.norm_bound) ** 2, Fraction(operator.smallest_bound) ** 2


def _reflections(denoiser: ProvenDenoiser, operator: LinearOperator, step: float) -> Fraction | float:
    """(1 + Lip(2 D - I) Lip(2 P - I)) / 2."""
    square, convex = _curvatures(operator)
    length = Fraction(positive("step", step))
    gain = max((1 - length * convex) / (1 + length * convex), (length * square - 1) / (length * square + 1))
    both = product(denoiser.reflected_bound, max(gain, Fraction(0)))
    return (1 + both) / 2


def _ryu(denoiser: ProvenDenoiser, operator: LinearOperator, step: float) -> Fraction | float:
    """The factor of Ryu et al.; infinity where D - I is not proven a contraction."""
    if denoiser.residual_bound >= 1.0:
        return math.inf
    eps = Fraction(denoiser.residual_bound)
    m = Fraction(step) * _curvatures(operator)[1]
    return (1 + eps + eps * m + 2 * eps**2 * m) / (1 + m + 2 * eps * m)


def _not_averaged(denoiser: ProvenDenoiser, factor: Fraction | float) -> str:
    if denoiser.lipschitz_bound <= 1.0:
        return (
            f"the denoiser must be averaged, and {denoiser.name} is proven nonexpansive alone, so that the iteration "
            f"may circle: give it averaging < 1"
        )
    return (
        f"the denoiser must be averaged, and the proven constant of {denoiser.name} is "
        f"{denoiser.lipschitz_bound:.9g} > 1; with the data fit the factor is {float(factor):.6g}"
    )


def _not_firm(denoiser: ProvenDenoiser) -> str:
    return (
        f"the denoiser must be firmly nonexpansive (2 D - I with a constant <= 1), and {denoiser.name} is proven to "
        f"have {denoiser.reflected_bound:.9g} there"
    )
