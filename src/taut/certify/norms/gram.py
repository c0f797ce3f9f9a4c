r"""The Gram matrix of a weight with a proven bound of its rounding error: what every spectral bound starts from."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.rounding import UNDERFLOW, UNIT_ROUNDOFF, add_up, gamma, mul_up, norm_up, sum_up


@dataclass(frozen=True, kw_only=True)
class ScaledMatrix:
    r"""A matrix A with 2^exponent A = W, up to `error` in every operator norm in use."""

    values: Float[Tensor, "out in"]
    """A, in float64 on the CPU, its largest entry in [1/2, 1)."""
    exponent: int
    """The power of two that was divided out."""
    error: float
    """Bound of ||2^-exponent W - A||: entries that fell below the float64 range when a huge matrix was scaled down."""
    frobenius: float
    """Upper bound of ||A||_F."""


@dataclass(frozen=True, kw_only=True)
class Gram:
    r"""B with ||A^T A - B||_F <= error, B symmetric exactly; A A^T in the place of A^T A where that is the smaller."""

    values: Float[Tensor, "n n"]
    error: float


def exact_float64(weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The same numbers in float64 on the CPU: exact for float16, bfloat16, float32 and float64.

    Raises TypeError for other dtypes and ValueError for NaN or infinity.
    """
    if weight.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise TypeError(f"bounds need float16, bfloat16, float32 or float64 values, got {weight.dtype}")
    values = weight.detach().cpu().to(torch.float64)
    if not bool(torch.isfinite(values).all()):
        raise ValueError("bounds need finite values, got NaN or infinity")
    return values


def exact_matrix(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    """`exact_float64` of a matrix with at least one entry; ValueError for other shapes."""
    if weight.ndim != 2 or weight.numel() == 0:
        raise ValueError(f"a matrix with at least one entry is needed, got shape {tuple(weight.shape)}")
    return exact_float64(weight)


def scale(matrix: Float[Tensor, "out in"]) -> ScaledMatrix:
    """Divide a non-zero float64 matrix by a power of two."""
    exponent = math.frexp(float(matrix.abs().amax()))[1]
    half = -exponent // 2  # 2^-exponent itself may overflow; two factors do not
    values = matrix * 2.0**half * 2.0 ** (-exponent - half)
    frobenius = float(norm_up(values.reshape(-1)))
    return ScaledMatrix(values=values, exponent=exponent, error=UNDERFLOW, frobenius=frobenius)


def gram(matrix: ScaledMatrix) -> Gram:
    r"""B = fl(A^T A), mirrored, with the error bound gamma_m || |A|^T |A| ||_F <= gamma_m ||A||_F^2, plus underflow."""
    tall = matrix.values if matrix.values.shape[0] >= matrix.values.shape[1] else matrix.values.T
    lower = (tall.T @ tall).tril()
    values = lower + lower.tril(-1).T
    error = add_up(mul_up(gamma(len(tall)), mul_up(matrix.frobenius, matrix.frobenius)), UNDERFLOW)
    return Gram(values=values, error=error)


@dataclass(frozen=True, kw_only=True)
class Spread:
    r"""All eigenvalues of A^T A lie in [centre - radius, centre + radius]."""

    centre: float
    radius: float


def spread(product: Gram) -> Spread:
    r"""|| A^T A - c I || <= ||fl(B - c I)||_F + its rounding + the error of B, with c the mean of the diagonal.

    Tight where A is a multiple of an orthogonal matrix, and nowhere else.
    """
    centre = float(product.values.diagonal().mean())
    difference = product.values.clone()
    difference.diagonal().sub_(centre)
    radius = mul_up(float(norm_up(difference.reshape(-1))), 1.0 + 2.0 * UNIT_ROUNDOFF)
    return Spread(centre=centre, radius=add_up(radius, product.error))


def shifted_defect(product: Gram, *, shift: float, sign: int) -> float | None:
    r"""The r >= 0 with sign (A^T A - shift I) >= -r I, proven by a Cholesky factor; None where there is no factor.

    With S = fl(sign (B - shift I)) and any matrix R, R R^T is positive semi-definite exactly, so that r =
    ||fl(S - fl(R R^T))||_F (1 + u) + gamma_n ||R||_F^2 + u ||diag S||_2 + ||A^T A - B||_F, plus underflow.
    The Cholesky routine is not trusted: a bad factor only makes r large.
    """
    shifted = product.values * float(sign)
    shifted.diagonal().sub_(sign * shift)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    if bool(failed) or not bool(torch.isfinite(factor).all()):
        return None
    residual = float(norm_up((shifted - factor @ factor.T).reshape(-1)))
    size = float(norm_up(factor.reshape(-1)))
    return sum_up(
        (
            mul_up(residual, 1.0 + 2.0 * UNIT_ROUNDOFF),
            mul_up(gamma(len(factor)), mul_up(size, size)),
            mul_up(2.0 * UNIT_ROUNDOFF, float(norm_up(shifted.diagonal()))),
            product.error,
            UNDERFLOW,
        )
    )
