r"""Branch and bound on the torus: the supremum of the largest eigenvalue of G(theta) over all frequencies.

Let L be the supremum, attained at theta*, and m <= all eigenvalues. Along a line, u* G(theta) u is an entire function
of exponential type with values in [m, L], so that at the distance w = sum over axes of n_i |theta_i - theta*_i| <= pi
it is at least (L + m)/2 + (L - m)/2 cos w. So if the largest eigenvalue at the centre of a cell in which all distances
are at most w is proven to be at most (s + m)/2 + (s - m)/2 cos w, for some s >= m, then theta* is not in that cell, or
L <= s.

Source: Duffin and Schaeffer (1938) for the inequality.
"""

import math

import torch
from jaxtyping import Int
from torch import Tensor

from taut.certify.norms.cells import Cells, first_cells
from taut.certify.norms.peak import Peak, top_eigenvalues
from taut.certify.norms.torus import ANGLE, Spectrum, proven_eigenvalues, symbols
from taut.certify.rounding import UNDERFLOW

_FINENESS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24)
"""Of the first cells: where the spectrum is flat, splitting coarser ones is in vain."""


def supremum_bound(
    spectrum: Spectrum, peak: Peak, *, bottom: float, known: float, tightness: float, work: float
) -> float:
    """Upper bound of all eigenvalues of G(theta): within 1 + `tightness` of one of them, or as near as `work` allows.

    `peak` says where they are probably largest, and only aims; `bottom` is proven to be below them all. Infinity where
    nothing better than `known` can be expected.
    """
    estimate = peak.value
    excess, cells = _affordable(spectrum, peak, bottom=bottom, tightness=tightness, work=work)
    target, spent = 0.0, 0.0
    for _ in range(60):
        target = max(target, estimate * (1.0 + excess) + 8.0 * spectrum.error)
        if target >= known:
            break
        spent += len(cells.j) * spectrum.cost
        if spent > 2.0 * work:  # the peak was sharper than it seemed
            excess, spent = 2.0 * excess, work
        left, top = _undecided(spectrum, cells, _threshold(spectrum, cells, target, bottom), estimate)
        if not len(left):
            return target
        estimate = max(estimate, top)  # what was proven with a smaller target stays proven
        cells = cells.split(left)
    return math.inf


def _threshold(spectrum: Spectrum, cells: Cells, target: float, bottom: float) -> float:
    """A float that is not above (s + m)/2 + (s - m)/2 cos w."""
    width = cells.width(spectrum.taps.degrees)
    cosine = max(-1.0, math.cos(width) - 4.0 * ANGLE) if width < math.pi else -1.0
    value = 0.5 * (target + bottom) + 0.5 * (target - bottom) * cosine
    return value - 2.0**-46 * (abs(target) + abs(bottom))


def _undecided(
    spectrum: Spectrum, cells: Cells, threshold: float, estimate: float
) -> tuple[Int[Tensor, "some axes"], float]:
    """Centres of cells that are not proven to lie below the threshold. Where one must be above the estimate, also the
    largest eigenvalue that is computed."""
    groups, left, top = len(spectrum.taps.centre), [cells.j[:0]], 0.0
    shift = threshold * (1.0 - 1e-9) - 2.0 * spectrum.error - UNDERFLOW
    if shift <= 0.0:
        return cells.j, top
    for j in cells.j.split(spectrum.batch):
        found = symbols(spectrum, j, cells.grid)
        failed = proven_eigenvalues(found, shift) > threshold
        left.append(j[failed.view(len(j), groups).any(1)])
        if shift > estimate and bool(failed.any()):
            top = max(top, float(top_eigenvalues(found.only(failed), steps=60)[0].amax()))
    return torch.cat(left), top


def _affordable(spectrum: Spectrum, peak: Peak, *, bottom: float, tightness: float, work: float) -> tuple[float, Cells]:
    """The least excess whose search is likely to cost no more than `work`, and the cells from which it costs least."""
    excess = tightness
    while True:
        target = peak.value * (1.0 + excess)
        parts = {fineness: _parts(spectrum, peak, target, bottom, fineness) for fineness in _FINENESS}
        best = min(parts, key=lambda fineness: parts[fineness])
        if parts[best] * spectrum.cost <= work or excess > 4.0:
            return excess, first_cells(spectrum.taps.degrees, fineness=best)
        excess *= 1.1


def _parts(spectrum: Spectrum, peak: Peak, target: float, bottom: float, fineness: int) -> float:
    """About how many cells will be looked at, if the eigenvalues are as at the centres all over the peak's cells."""
    middle, half = 0.5 * (target + bottom), max(0.5 * (target - bottom), UNDERFLOW)
    width = peak.cells.width(spectrum.taps.degrees) * peak.cells.fineness / fineness
    allowed = ((peak.tops - middle) / half).clamp(-1.0, 1.0).acos().clamp_min(1e-6)
    levels = (width / allowed).log2().ceil().clamp_min(0.0)
    split = 2.0 ** sum(len(block) for block in peak.cells.blocks)
    first = (fineness / peak.cells.fineness) ** sum(len(block) for block in peak.cells.blocks)
    return first * float(((split ** (levels + 1.0) - 1.0) / max(split - 1.0, 1.0)).sum())
