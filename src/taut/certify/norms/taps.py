r"""The Gram operator K* K of a stride-1 kernel as a kernel of its own, with bounds that its taps give.

K has the symbol K(theta) = sum over t of K_t exp(i t theta), and the Gram operator G(theta) = K(theta)* K(theta) = sum
over tau of G_tau exp(i tau theta), G_tau = sum over t of K_t^T K_{t+tau}. The norm of K squared is the supremum of the
largest eigenvalue of G(theta).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.norms.gram import ScaledMatrix
from taut.certify.rounding import UNDERFLOW, UNIT_ROUNDOFF, add_up, gamma, inflate, mul_up, norm_up, sum_up


@dataclass(frozen=True, kw_only=True)
class GramTaps:
    """G_0 and the G_tau of half of the other shifts, the others being their transposes; all groups side by side."""

    centre: Float[Tensor, "groups n n"]
    """G_0, symmetric exactly."""
    others: Float[Tensor, "half groups n n"]
    shifts: tuple[tuple[int, ...], ...]
    """tau of each of `others`; with -tau and 0 they make up all shifts."""
    degrees: tuple[int, ...]
    """Largest shift per axis."""
    error: float
    """Bound of the norm of the exact Gram operator minus the one with these taps, in every group."""


def gram_taps(kernel: Float[Tensor, "groups o i *taps"], matrix: ScaledMatrix) -> GramTaps:
    r"""Taps of K* K, each one product, in float64.

    An entry is a dot product of length at most m = o * taps, off by gamma_m |K_t|^T |K_{t+tau}| summed; over all taps
    the Frobenius norms of that are below gamma_m (sum over t of ||K_t||_F)^2 <= gamma_m taps ||K||_F^2.
    """
    sizes = tuple(kernel.shape[3:])
    moved = kernel.movedim((1, 2), (-2, -1))  # groups, taps, o, i
    centre = _product(moved, moved).squeeze(0)
    centre = centre.tril() + centre.tril(-1).mT
    shifts = tuple(half_shifts(sizes))
    others = [_product(*_overlap(moved, shift)) for shift in shifts]
    taps = math.prod(sizes)
    size = mul_up(mul_up(matrix.frobenius, matrix.frobenius), float(taps))
    return GramTaps(
        centre=centre,
        others=torch.cat(others) if others else centre.new_zeros(0, *centre.shape),
        shifts=shifts,
        degrees=tuple(n - 1 for n in sizes),
        error=add_up(mul_up(gamma(kernel.shape[1] * taps), size), UNDERFLOW),
    )


def half_shifts(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The shifts whose first entry other than 0 is positive."""
    zero = (0,) * len(sizes)
    for shift in product(*(range(1 - n, n) for n in sizes)):
        if shift > zero:
            yield shift


def _overlap(moved: Tensor, shift: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """K_t and K_{t+tau} for all t for which both exist."""
    first, second = moved, moved
    for axis, step in enumerate(shift):
        length = moved.shape[1 + axis] - abs(step)
        first = first.narrow(1 + axis, max(0, -step), length)
        second = second.narrow(1 + axis, max(0, step), length)
    return first, second


def _product(first: Tensor, second: Tensor) -> Tensor:
    """sum over t of first_t^T second_t, with an axis in front."""
    return (first.flatten(1, -2).mT @ second.flatten(1, -2)).unsqueeze(0)


def near_orthogonal_bound(taps: GramTaps) -> tuple[float, float]:
    r"""(c, r) with all eigenvalues of G(theta) in [c - r, c + r], at all frequencies, of all groups.

    r = ||G_0 - c I||_F + sum over tau of ||G_tau||_F + rounding. Tight where K is a multiple of an orthogonal operator.
    """
    diagonals = taps.centre.diagonal(dim1=-2, dim2=-1)
    centre = float(diagonals.mean())
    difference = taps.centre.clone()
    difference.diagonal(dim1=-2, dim2=-1).sub_(centre)
    own = inflate(norm_up(difference.flatten(1)) * (1.0 + 2.0 * UNIT_ROUNDOFF))
    rest = norm_up(taps.others.flatten(2)).T  # groups, half
    radius = inflate(own + 2.0 * norm_up(rest, order=1)) if rest.shape[1] else own
    return centre, add_up(float(radius.amax()), taps.error)


def schur_bound(taps: GramTaps, *, steps: int = 60) -> float:
    r"""Upper bound of all eigenvalues of G(theta): max over c of (A q)_c / q_c, A = sum over tau of |G_tau|, any q > 0.

    A power iteration chooses q near the Perron vector; every iterate gives a bound and the least is taken.
    """
    absolute = taps.others.abs()
    total = inflate((taps.centre.abs() + (absolute + absolute.mT).sum(0)) * (1.0 + 2.0 * gamma(len(absolute) + 2)))
    factor = 1.0 + 2.0 * gamma(total.shape[-1] + 2)
    q = torch.ones_like(total[..., :1])
    best = torch.full((len(total),), math.inf, dtype=torch.float64)
    for _ in range(steps):
        image = total @ q
        best = torch.minimum(best, inflate(inflate(image * factor) / q).amax(dim=(1, 2)))
        image = image + image.amax(dim=1, keepdim=True) * q / q.amax(dim=1, keepdim=True)  # no oscillation
        q = (image / image.amax(dim=1, keepdim=True).clamp_min(UNDERFLOW)).clamp_min(1e-9)
    return add_up(float(best.amax()), taps.error)


def tap_norms(taps: GramTaps) -> float:
    """Upper bound of the sum over all shifts of ||G_tau||_F, in every group."""
    rest = norm_up(taps.others.flatten(2))
    sums = [float(norm_up(taps.centre.flatten(1)).amax()), *(2.0 * float(row.amax()) for row in rest)]
    return sum_up(sums)
