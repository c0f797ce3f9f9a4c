r"""Certified radii: how far a sample can move without changing the class that float64 computes.

The function certified is the network *as float64 executes it*: stored weights read exactly, every dot product summed in
any order, fused or not. A radius r means: for every float64 point x' with |x' - x| <= r the computed logit of the label
is strictly larger than every other computed logit. With y the label, j another class, m_j the computed margin,

    computed margin at x' >= m_j - err_j(x) - K_j rho - err'_j(rho),         err'_j(rho) = a_j + b_j rho,

where K_j is the Lipschitz constant of the exact margin and the errors follow `forward`. All is affine in rho, so r is
min_j (m_j - err_j - a_j) / (K_j + b_j), rounded down: the strict inequality holds at r itself. With a linear head W, b
after a body of constant P with errors e, A + B rho (head-aware rule), c the product of the factors after the head,
v = |W| |X| + |b|, R = max_i ||w_i||, D_j = ||w_y - w_j|| (l1 norms for linf) and g = gamma_{n+1+factors}:

    err_j <= c (D_j e + 2 g max v),                                              K_j = c D_j P,
    err'_j <= c (D_j (A + B rho) + 2 g (max v + R (A + B rho + P rho + e))).

Without a head: D_j P = sqrt(2) P (l2), 2 P (linf), and the output's own error in the place of the body's.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.rounding import add_up, gamma, inflate, mul_up, norm_up, product_up, sqrt_up
from taut.certify.samples.forward import LARGEST, State, StepBound, advance, row_sums, start, step_bound
from taut.certify.samples.steps import Affine, Factor, Step, steps_of

_SLIGHTLY_LESS = 1.0 - 2.0**-48


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """The last affine step and the factors after it."""

    affine: Affine
    factors: tuple[Factor, ...]
    differences: Float[Tensor, "classes classes"]
    """||w_i - w_j||, rounded up (l2 norms, or l1 norms for linf)."""
    largest_row: float
    """R."""

    @property
    def scale(self) -> float:
        """c, rounded up."""
        return product_up(abs(step.factor) for step in self.factors)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A network made ready: each weight read once, each constant proven once."""

    norm: Norm
    steps: tuple[Step, ...]
    bounds: tuple[StepBound, ...]
    head: Head | None
    """None where the network does not end in an affine step: then the joint rule."""

    @property
    def lipschitz_bound(self) -> float:
        """Product of all constants, rounded up."""
        return product_up(bound.proof.bound for bound in self.bounds)


@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """Computed margins of a batch and all that bounds how they move; one column per class, the label's unused."""

    logits: Float[Tensor, "batch classes"]
    margins: Float[Tensor, "batch classes"]
    """m_j, computed; infinity in the label's column."""
    errors: Float[Tensor, "batch columns"]
    """err_j + a_j, rounded up; one column where it is the same for all classes."""
    slopes: Float[Tensor, "batch columns"]
    """K_j + b_j, rounded up."""
    farthest: float
    """Radius beyond which intermediate sums might overflow."""


def prepare(model: nn.Module, norm: Norm) -> Prepared:
    """Read the weights and prove the constants."""
    steps = steps_of(model)
    bounds = tuple(step_bound(step, norm) for step in steps)
    return Prepared(norm=norm, steps=steps, bounds=bounds, head=_head(steps, norm))


def _head(steps: tuple[Step, ...], norm: Norm) -> Head | None:
    body = len(steps)
    while body and isinstance(steps[body - 1], Factor):
        body -= 1
    affine = steps[body - 1] if body else None
    if not isinstance(affine, Affine):
        return None
    order = 2 if norm == "l2" else 1
    rows = affine.weight
    # the difference of two rows is rounded once per entry: 4 u covers it
    differences = torch.stack([norm_up(rows - row, order=order) for row in rows]) * (1.0 + 4.0 * gamma(1))
    return Head(
        affine=affine,
        factors=tuple(step for step in steps[body:] if isinstance(step, Factor)),
        differences=inflate(differences),
        largest_row=float(norm_up(rows, order=order).amax()),
    )


def margins(prepared: Prepared, inputs: Float[Tensor, "batch *shape"], labels: Int[Tensor, " batch"]) -> Margins:
    """Evaluate a batch and bound how its margins move."""
    state = start(inputs)
    body = len(prepared.steps) if prepared.head is None else len(prepared.steps) - 1 - len(prepared.head.factors)
    for step, bound in zip(prepared.steps[:body], prepared.bounds[:body], strict=True):
        state = advance(state, step, bound, prepared.norm)
    if prepared.head is None:
        logits, (errors, slopes), reach = state.values, _joint(state, prepared.norm), state.reach
    else:
        logits = prepared.head.affine(state.values)
        for factor in prepared.head.factors:
            logits = factor(logits)
        _check_logits(logits, labels)
        errors, slopes = _head_aware(state, prepared.head, labels)
        moved = add_up(state.growth, state.ball_slope)
        reach = max(state.reach, product_up((prepared.head.largest_row, moved, max(1.0, prepared.head.scale))))
    _check_logits(logits, labels)
    own = logits.gather(1, labels[:, None])
    gaps = (own - logits).scatter(1, labels[:, None], math.inf)
    farthest = LARGEST / max(1.0, reach)
    return Margins(logits=logits, margins=gaps, errors=errors, slopes=slopes, farthest=farthest)


def _check_logits(logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(f"the model must give logits of shape (batch, classes >= 2), got {tuple(logits.shape)}")
    outside = labels[(labels < 0) | (labels >= logits.shape[1])]
    if len(outside):
        raise ValueError(f"labels must be in 0..{logits.shape[1] - 1}, got {int(outside[0])}")


def _joint(state: State, norm: Norm) -> tuple[Tensor, Tensor]:
    ratio = sqrt_up(2.0) if norm == "l2" else 2.0
    errors = inflate(ratio * inflate(state.error + state.ball_error))
    slope = mul_up(ratio, add_up(state.growth, state.ball_slope))
    return errors[:, None], torch.full((len(errors), 1), slope, dtype=torch.float64, device="cpu")


def _head_aware(state: State, head: Head, labels: Tensor) -> tuple[Tensor, Tensor]:
    g = 2.0 * gamma(head.affine.weight.shape[1] + 1 + len(head.factors))
    difference = head.differences[labels]
    away = inflate(state.error + state.ball_error)
    local = inflate(2.0 * row_sums(head.affine, state.values).amax(dim=1) + head.largest_row * away)
    errors = inflate(inflate(difference * away[:, None] + g * local[:, None]) * head.scale)
    moved = add_up(state.growth, state.ball_slope)
    slopes = inflate(inflate(difference * moved + g * mul_up(head.largest_row, moved)) * head.scale)
    proven = local * max(head.scale, 1.0) <= LARGEST  # neither NaN nor near overflow
    return torch.where(proven[:, None], errors, math.inf), slopes


def radii(found: Margins, *, errors: float = 1.0, slack: float = 0.0) -> Float[Tensor, " batch"]:
    """min_j (m_j - errors * err_j) / (slope_j (1 + slack)), rounded down; 0 where misclassified, tied or not finite.

    `errors` >= 1 and `slack` >= 0 only make the radius smaller.
    """
    room = (found.margins * _SLIGHTLY_LESS - inflate(found.errors * errors)) * _SLIGHTLY_LESS
    radius = (room / inflate(found.slopes * (1.0 + slack)) * _SLIGHTLY_LESS).amin(dim=1)
    good = torch.isfinite(found.logits).all(dim=1) & (radius > 1.0 / LARGEST)
    return torch.where(good, radius.clamp(max=found.farthest), 0.0)
