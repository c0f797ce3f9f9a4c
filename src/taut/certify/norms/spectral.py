r"""Proven bounds of the largest and smallest singular value of a matrix, and of its l-infinity norm.

All rest on float64 products whose rounding error is bounded for every order of summation, fused or not, and on scalars
rounded outward; no result of an eigenvalue, Cholesky or SVD routine is trusted, only checked. The matrix product must
be a plain sum of products (no Strassen), which is true of every CPU BLAS that torch ships with.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.norms.gram import Gram, exact_matrix, gram, scale, shifted_defect, spread
from taut.certify.rounding import add_up, gradual_underflow, ldexp_down, ldexp_up, norm_up, sqrt_down, sqrt_up

NEAR_ORTHOGONAL, WITNESS, FROBENIUS, ZERO = "near-orthogonal", "Cholesky witness", "Frobenius norm", "zero matrix"
ROW_SUMS = "row sums"

_GOOD_ENOUGH = 1e-9
"""Relative excess below which no second, dearer proof is tried."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proven bound and how it was proved."""

    bound: float
    """The bound, in float64."""
    method: str
    """The argument that gave it."""


def spectral_norm_bound(weight: Float[Tensor, "out in"]) -> float:
    r"""Upper bound of the largest singular value of a matrix, its l2 -> l2 norm: never below it.

    The weight (float16, bfloat16, float32, float64, on any device, of any scale) is read as exact numbers. The excess
    is at most 5e-10 + n gamma_n relative for a smaller side n (6e-10 at 1024, 8e-9 at 8192), and 1e-14 for a short
    vector. Infinity where the norm exceeds the float64 range. The cost is about that of
    `svdvals`, and of one product where W^T W is a multiple of the identity to 1e-9.

    Raises ValueError for NaN, infinity, an empty or a non-matrix tensor; TypeError for other dtypes.

    Source: Rump (2006), "Verification of positive definiteness", for the witness; the rounding analysis is in `gram`.

    >>> import torch
    >>> 5.0 <= spectral_norm_bound(torch.tensor([[3.0, 4.0]])) < 5.0 + 1e-13
    True
    """
    return prove_spectral_norm(weight).bound


@gradual_underflow()
def prove_spectral_norm(weight: Float[Tensor, "out in"]) -> Proof:
    """`spectral_norm_bound` together with the name of the argument that gave it."""
    matrix = exact_matrix(weight)
    if not bool(matrix.any()):
        return Proof(bound=0.0, method=ZERO)
    scaled = scale(matrix)
    candidates = [Proof(bound=scaled.frobenius, method=FROBENIUS)]
    if min(scaled.values.shape) > 1:  # of a vector, the Frobenius norm is the answer
        product = gram(scaled)
        cluster = spread(product)
        candidates.append(Proof(bound=sqrt_up(add_up(cluster.centre, cluster.radius)), method=NEAR_ORTHOGONAL))
        if cluster.radius > _GOOD_ENOUGH * cluster.centre:
            candidates += _witness(product)
    best = min(candidates, key=lambda proof: proof.bound)
    return Proof(bound=ldexp_up(add_up(best.bound, scaled.error), scaled.exponent), method=best.method)


def _witness(product: Gram) -> list[Proof]:
    """lambda_max(A^T A) <= s + r wherever s I - A^T A >= -r I; s is a computed eigenvalue, moved up until it works."""
    top = _extreme_eigenvalues(product)
    if top is None:
        return []
    for step in range(12):
        shift = top[1] * (1.0 + 4.0**step * 1e-9)
        defect = shifted_defect(product, shift=shift, sign=-1)
        if defect is not None:
            return [Proof(bound=sqrt_up(add_up(shift, defect)), method=WITNESS)]
    return []


def _extreme_eigenvalues(product: Gram) -> tuple[float, float] | None:
    """Computed smallest and largest eigenvalue, without rigour; None where the routine fails."""
    try:
        eigenvalues = torch.linalg.eigvalsh(product.values)
    except torch.linalg.LinAlgError:
        return None
    return float(eigenvalues[0]), float(eigenvalues[-1])


@gradual_underflow()
def smallest_singular_value_bound(weight: Float[Tensor, "out in"]) -> float:
    r"""Lower bound of the smallest of the min(out, in) singular values: never above it, 0.0 where none can be proven.

    Tight to about 1e-9 for condition numbers of order 1; what is lost is of order 1e-10 cond^2 relative, so that
    nothing is proven beyond a condition number of some 1e4 (at 1024 columns; more for smaller matrices).

    Raises ValueError for NaN, infinity, an empty or a non-matrix tensor; TypeError for other dtypes.

    >>> import torch
    >>> 1.0 - 1e-8 < smallest_singular_value_bound(torch.diag(torch.tensor([1.0, 2.0]))) <= 1.0
    True
    """
    matrix = exact_matrix(weight)
    if not bool(matrix.any()):
        return 0.0
    scaled = scale(matrix)
    product = gram(scaled)
    cluster = spread(product)
    square = _below(cluster.centre, cluster.radius)
    if cluster.radius > _GOOD_ENOUGH * cluster.centre:
        square = max(square, _shifted_from_below(product))
    root = sqrt_down(square)
    return ldexp_down(_below(root, scaled.error), scaled.exponent)


def _shifted_from_below(product: Gram) -> float:
    """lambda_min(A^T A) >= s - r wherever A^T A - s I >= -r I; 0.0 where that proves nothing."""
    ends = _extreme_eigenvalues(product)
    if ends is None:
        return 0.0
    for step in range(12):
        shift = ends[0] * (1.0 - 1e-9) - ends[1] * len(product.values) * 1e-16 * 4.0**step
        if shift <= 0.0:
            return 0.0
        defect = shifted_defect(product, shift=shift, sign=1)
        if defect is not None:
            return _below(shift, defect)
    return 0.0


def _below(a: float, b: float) -> float:
    """A number in [0, max(0, a - b)], for a, b >= 0."""
    return max(0.0, -add_up(b, -a))


@gradual_underflow()
def linf_norm_bound(weight: Float[Tensor, "out in"]) -> float:
    r"""Upper bound of the largest l1 norm of a row, the l-infinity -> l-infinity norm of the matrix: never below it.

    Above the exact norm by a relative 3e-16 `in_features` + 4e-15 at most.

    Raises ValueError for NaN, infinity, an empty or a non-matrix tensor; TypeError for other dtypes.

    >>> import torch
    >>> 3.0 <= linf_norm_bound(torch.tensor([[1.0, -2.0], [0.5, 0.5]])) < 3.0 + 1e-13
    True
    """
    matrix = exact_matrix(weight)
    if not bool(matrix.any()):
        return 0.0
    scaled = scale(matrix)
    largest = float(norm_up(scaled.values, order=1).amax())
    return ldexp_up(add_up(largest, scaled.error), scaled.exponent)
