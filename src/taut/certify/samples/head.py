r"""The last linear layer of a network, taken class by class: tighter than the product of all constants.

With a head W, b after a body of constant P whose value X has the errors e and A + B rho (see `forward`), c the product
of the factors after the head, D_j = ||w_y - w_j||, R = max_i ||w_i|| (l1 norms for linf), v the largest entry of
|W| |X| + |b|, g_0 and g for a row of n products, a bias and the factors: the difference of two logits is off by at most

    at the sample:      c (D_j e + 2 g_0 v),
    in the ball:        c (D_j (A + B rho) + 2 g (v + R (A + B rho + P rho + e))),

and moves by at most c D_j P rho in real arithmetic. Without a head, D_j P = sqrt(2) P (l2), 2 P (linf) and the errors
are those of the output itself. For a single output, D is ||w||, and the 2 of "2 g" is 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.breakdown import Norm
from taut.certify.program.affine import Linear, Scale
from taut.certify.program.program import Program
from taut.certify.rounding import add_up, gamma, inflate, mul_up, norm_up, product_up, sqrt_up
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.forward import Analysis, State

_IN_CACHE = 2**16
"""Entries of a block that is worked on at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The last linear operation, where nothing but factors follows it."""

    linear: Linear
    place: int
    """Of its input."""
    factors: tuple[float, ...]

    @property
    def scale(self) -> float:
        """c, rounded up."""
        return product_up(abs(factor) for factor in self.factors)

    @property
    def roundings(self) -> int:
        """Of one logit."""
        return self.linear.weight.exact.shape[1] + 1 + len(self.factors)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """How a linear functional of the logits can be off: at most `errors` + `slopes` times the radius."""

    logits: Float[Tensor, "batch *outputs"]
    errors: Float[Tensor, "batch columns"]
    slopes: Float[Tensor, "batch columns"]
    farthest: float
    """Radius beyond which intermediate sums might overflow."""


def head_of(program: Program) -> Head | None:
    """The head of a network that ends in a linear map of a vector, and factors; None for others."""
    place, factors = len(program.nodes), []
    while place and isinstance(scale := program.nodes[place - 1].operation, Scale):
        factors.append(scale.factor)
        place = program.nodes[place - 1].inputs[0]
    last = program.nodes[place - 1] if place else None
    if last is None or not isinstance(last.operation, Linear) or len(last.shape) != 1:
        return None
    return Head(linear=last.operation, place=last.inputs[0], factors=tuple(factors))


def differences(head: Head, norm: Norm, label: int) -> Float[Tensor, " classes"]:
    """||w_label - w_j|| for every j, rounded up (l2 norms, or l1 norms for linf)."""
    order, rows = 2 if norm == "l2" else 1, head.linear.weight.exact
    parts = rows.split(max(1, _IN_CACHE // rows.shape[1]))
    found = torch.cat([norm_up(part - rows[label], order=order) for part in parts])
    # the difference of two rows is rounded once per entry: 4 u covers it
    return inflate(found * (1.0 + 4.0 * gamma(1)))


def own_norms(head: Head, norm: Norm) -> Float[Tensor, " outputs"]:
    """||w_i||, rounded up."""
    return norm_up(head.linear.weight.exact, order=2 if norm == "l2" else 1)


def moves_of(
    analysis: Analysis, head: Head | None, x: Float[Tensor, "batch *shape"], weights: Tensor | None, *, pairs: bool
) -> Moves:
    """Of differences of two logits (`pairs`) or of single ones; `weights` are the norms D of the head's rows, as
    columns for each sample or for all."""
    last = len(analysis.program.nodes)
    found = analysis.states(x, {last} if head is None else {last, head.place})
    logits = found[last].values
    twice = 2.0 if pairs else 1.0
    if head is None:
        return _joint(analysis, found[last], pairs)
    assert weights is not None
    state, g = found[head.place], analysis.arithmetic.roundoff(head.roundings, kept=1 + len(head.factors))
    growth, slope = analysis.growths[head.place], analysis.slopes[head.place]
    rows = float(own_norms(head, analysis.norm).amax())
    away = inflate(state.error + state.ball_error)
    largest = head.linear.magnitude(state.values).amax(dim=1)
    local = inflate(largest + rows * away)
    g_0 = FLOAT64.roundoff(head.roundings)
    rounded = inflate(inflate(g_0 * largest) + inflate(g * local)) * twice
    stretched = product_up(max(1.0, abs(factor)) for factor in head.factors)
    lost = twice * 2.0 * head.roundings * (FLOAT64.tiny + analysis.arithmetic.tiny) * stretched
    errors = inflate(inflate(inflate(weights * away[:, None]) + rounded[:, None]) * head.scale + lost)
    moved = add_up(growth, slope)
    slopes = inflate(inflate(weights * moved + mul_up(twice, mul_up(g, mul_up(rows, moved)))) * head.scale)
    proven = local * max(head.scale, 1.0) <= analysis.arithmetic.largest
    reach = max(analysis.reach, product_up((rows, moved, max(1.0, head.scale))))
    return Moves(
        logits=logits,
        errors=torch.where(proven[:, None], errors, torch.inf),
        slopes=slopes.expand(len(x), -1),
        farthest=analysis.arithmetic.largest / max(1.0, reach),
    )


def _joint(analysis: Analysis, state: State, pairs: bool) -> Moves:
    ratio = 1.0 if not pairs else sqrt_up(2.0) if analysis.norm == "l2" else 2.0
    errors = inflate(ratio * inflate(state.error + state.ball_error))
    slope = mul_up(ratio, add_up(analysis.growths[-1], analysis.slopes[-1]))
    return Moves(
        logits=state.values,
        errors=errors[:, None],
        slopes=torch.full_like(errors[:, None], slope),
        farthest=analysis.arithmetic.largest / max(1.0, analysis.reach),
    )
