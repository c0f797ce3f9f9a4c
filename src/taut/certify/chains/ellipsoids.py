r"""Ellipsoids that hold what a chain can do to a unit change of its input, proven layer by layer.

An ellipsoid Z holds the changes d at some place of the network if d d^T <= |change of the input|^2 Z (as matrices) for
all pairs of inputs; the square of the Lipschitz constant up to there is then at most the largest eigenvalue of Z. At
the input Z = I. Behind a linear layer W it is Y = W Z W^T. Behind an activation with the constraint of `sectors`, for
any V, it is every Z with

    [ V - R Y R      R Y M            ]
    [ M Y R      Z - Pi V Pi - M Y M  ]  >= 0.

Proof, for |change of the input| = 1 and Y > 0 (a limit covers the rest): let A = Y^-1 - R V^-1 R, positive as the first
block is (a small multiple of I makes it so, again in the limit). Adding the constraint to v^T Y^-1 v <= 1 gives
v^T A v + u^T V^-1 u <= 1, so by Cauchy and Schwarz (p^T d)^2 = (p^T M v + p^T Pi u)^2 <= p^T (M A^-1 M + Pi V Pi) p for
every p. By Woodbury, A^-1 = Y + Y R (V - R Y R)^-1 R Y, and the Schur complement of the matrix above says that Z is at
least M A^-1 M + Pi V Pi.

For slopes in [0, 1], where M = R = 1/2, the smallest such Z has Z^-1 = V^-1 - V^-1 Y V^-1 / 4: the recursion of ECLipsE
(Xu and Sivaranjani, 2024) with Lambda = V^-1, and the Schur complements of LipSDP-neuron (Fazlyab et al., 2019).

In floating point Z is first computed and raised a little; then a Cholesky factor proves the matrix, as rounded, to be
at least -t I with t from the residual (`shifted_defect`), and its rounding is counted. Adding t I to the first block
and 2 t I to the second makes it positive: that is V + t I in the place of V, and Z + 2 t I proven. Constraints are the
same in coordinates that are scaled by a positive factor for each entry (for each group), so that weights are first
scaled by powers of two, exactly, to make Z of order 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from taut.certify.chains.sectors import Sector
from taut.certify.norms.gram import Gram, shifted_defect
from taut.certify.rounding import UNDERFLOW, add_up, gamma, mul_up, norm_up, sum_up

_TRIES = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One layer in scaled coordinates, and the multipliers that are proposed for it."""

    weight: Float[Tensor, "out in"]
    """Exact, up to `UNDERFLOW` in the Frobenius norm."""
    sector: Sector | None
    v: Float[Tensor, " k"] | None
    """Diagonal of V, one for each multiplier of the sector."""


def scaled_by(
    weight: Float[Tensor, "out in"], rows: Int64[Tensor, " out"], columns: Int64[Tensor, " in"]
) -> Float[Tensor, "out in"]:
    """2^-rows W 2^columns; exact but for entries below the float64 range, which lose less than 2^-1022 each."""
    exponents = columns[None, :] - rows[:, None]
    with np.errstate(over="ignore", under="ignore"):
        return torch.from_numpy(np.ldexp(weight.numpy(), exponents.to(torch.int32).numpy()))


def gain_bound(steps: Sequence[Step]) -> float | None:
    """Upper bound of the square of the Lipschitz constant of a chain, proven; None where the proof does not succeed."""
    ellipsoid: Float[Tensor, "n n"] | None = None
    for step in steps:
        ellipsoid = through_weight(step.weight, ellipsoid)
        if step.sector is not None and step.v is not None:
            ellipsoid = through_sector(step.sector, step.v, ellipsoid)
        if ellipsoid is None or not bool(ellipsoid.isfinite().all()):
            return None
    return None if ellipsoid is None else largest_eigenvalue_bound(ellipsoid)


def through_weight(weight: Float[Tensor, "out in"], before: Float[Tensor, "n n"] | None) -> Float[Tensor, "out out"]:
    r"""Y >= W Z W^T; Z = I for None.

    Each of the two products is off by gamma_n |W| |Z| |W|^T at most, and W by 2^-960 in norm.
    """
    terms = weight.shape[1]
    size = float(norm_up(weight.reshape(-1)))
    if before is None:
        values, inner = weight @ weight.T, 1.0
    else:
        values, inner = weight @ before @ weight.T, float(norm_up(before.reshape(-1)))
    rounding = mul_up(gamma(2 * terms), mul_up(mul_up(size, size), inner))
    underflow = mul_up(UNDERFLOW, mul_up(add_up(mul_up(2.0, size), 2.0), add_up(inner, 1.0)))
    return _raised(_mirrored(values), add_up(rounding, underflow))


def through_sector(sector: Sector, v: Float[Tensor, " k"], before: Float[Tensor, "n n"]) -> Float[Tensor, "n n"] | None:
    """Z behind an activation, proven; None where no try succeeds. V is proposed, and raised where it is too small."""
    for attempt in range(_TRIES):
        wider = sector.spread(v * (1.0 + 1e-13 * (8.0**attempt - 1.0)))
        proposal = _proposal(sector, wider, before, lift=len(wider) * 2.0**-50 * 8.0**attempt)
        if proposal is None:
            continue
        matrix = _constraint(sector, wider, before, proposal)
        defect = shifted_defect(matrix, shift=0.0, sign=1)
        if defect is not None:
            return _raised(proposal, mul_up(2.0, defect))
    return None


def _proposal(
    sector: Sector, v: Float[Tensor, " n"], before: Float[Tensor, "n n"], *, lift: float
) -> Float[Tensor, "n n"] | None:
    """The smallest Z by the formula, a little raised, symmetric; computed without rigour."""
    outer, cross, inner = _blocks(sector, before)
    first = torch.diag(v) - outer
    first.diagonal().sub_(lift * v)  # so that Z comes out larger
    factor, failed = torch.linalg.cholesky_ex(first)
    if bool(failed):
        return None
    part = torch.linalg.solve_triangular(factor, cross, upper=False)
    values = _mirrored(sector.free(v) + inner + part.T @ part)
    values.diagonal().add_(lift * (values.diagonal() + values.diagonal().mean()))
    return values if bool(values.isfinite().all()) else None


def _constraint(
    sector: Sector, v: Float[Tensor, " n"], before: Float[Tensor, "n n"], after: Float[Tensor, "n n"]
) -> Gram:
    r"""The matrix of this module's docstring, symmetric, with a bound of its rounding in the Frobenius norm.

    Each entry is a sum of at most three terms; a term is an entry of V, Y or Z with M, R or Pi applied once on either
    side, two or four times a sum of absolute values in all, each costing `roundings`.
    """
    outer, cross, inner = _blocks(sector, before)
    last = after - sector.free(v) - inner
    values = torch.cat((torch.cat((torch.diag(v) - outer, cross), dim=1), torch.cat((cross.T, last), dim=1)))
    size = sector.size()
    of_before = mul_up(mul_up(4.0, mul_up(size, size)), float(norm_up(before.reshape(-1))))
    magnitude = sum_up((of_before, mul_up(4.0, float(norm_up(v))), float(norm_up(after.reshape(-1)))))
    rounding = mul_up(gamma(2 * sector.roundings() + 6), magnitude)
    # the lower triangle is mirrored: both triangles are within the bound of the same exact entries
    return Gram(values=_mirrored(values), error=sum_up((mul_up(2.0, rounding), mul_up(UNDERFLOW, size), UNDERFLOW)))


def _blocks(sector: Sector, before: Float[Tensor, "n n"]) -> tuple[Tensor, Tensor, Tensor]:
    """R Y R, R Y M and M Y M."""
    left = sector.radius(before)
    return sector.radius(left.T), sector.middle(left.T).T, sector.middle(sector.middle(before).T)


def largest_eigenvalue_bound(matrix: Float[Tensor, "n n"]) -> float:
    """Upper bound of the largest eigenvalue of a symmetric matrix: a shift proven by a Cholesky factor, or its norm."""
    bound = float(norm_up(matrix.reshape(-1)))
    try:
        top = float(torch.linalg.eigvalsh(matrix)[-1])
    except torch.linalg.LinAlgError:
        return bound
    for attempt in range(_TRIES):
        shift = top * (1.0 + 4.0**attempt * 1e-9)
        defect = shifted_defect(Gram(values=matrix, error=0.0), shift=shift, sign=-1)
        if defect is not None:
            return min(bound, add_up(shift, defect))
    return bound


def _mirrored(values: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    lower = values.tril()
    return lower + lower.tril(-1).T


def _raised(values: Float[Tensor, "n n"], by: float) -> Float[Tensor, "n n"]:
    """At least values + by I; the sums are rounded up."""
    result = values.clone()
    result.diagonal().copy_(torch.nextafter(values.diagonal() + by, torch.tensor(torch.inf, dtype=torch.float64)))
    return result
