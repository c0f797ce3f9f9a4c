r"""Hermitian matrices proven positive semi-definite but for a small defect: many at once, by Cholesky factors.

A factor L is made column block by column block. What remains of a block of H after the columns before it, C = H - L L*
over those, gives the block of L, and C less that block's own product is its part of the residual H - L L*: the proof
costs little more than the factor. L L* is positive semi-definite exactly, whatever L is, so that H >= -||H - L L*|| I.
"""

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from taut.certify.rounding import gamma, inflate

_MEMORY = 2**18
"""Most complex entries of matrices that are worked on at once: what a processor's cache holds."""


def defects(real: Float[Tensor, "many n n"], imaginary: Float[Tensor, "many n n"]) -> Float[Tensor, " many"]:
    r"""Per Hermitian matrix H a d >= 0 with H >= -d I; infinity where there is no Cholesky factor. Lower triangles
    count, with a diagonal that is real.

    Sums are of real products: at most 2 n of them and an entry of H, in any order. With k = 2 n + 4, ||H - L L*||_F is
    at most 1 + 2 gamma_k times the computed residual plus 4 gamma_k ||L||_F^2.
    """
    together = max(1, _MEMORY // real.shape[-1] ** 2)
    return torch.cat([_defects(*pair) for pair in zip(real.split(together), imaginary.split(together), strict=True)])


def _defects(real: Tensor, imaginary: Tensor) -> Tensor:
    n = real.shape[-1]
    trust = gamma(2 * n + 4)
    left, residual, size = _residuals(real, imaginary, max(16, n // 8))
    proven = torch.full((len(real),), torch.inf, dtype=torch.float64)
    proven[left] = inflate(inflate(residual.sqrt()) * (1.0 + 2.0 * trust) + size * (4.0 * trust))
    return torch.where(proven < torch.inf, proven, torch.inf)  # NaN, from a factor that is none, proves nothing


def _residuals(
    real: Tensor, imaginary: Tensor, width: int
) -> tuple[Int[Tensor, " left"], Float[Tensor, " left"], Float[Tensor, " left"]]:
    """Which matrices have a factor, and of those the squared norm of the computed residual and that of L, rounded up.

    With L = X + i Y, one product of [X, Y] with itself gives the real part of L L*, one of [Y, -X] with it the other.
    """
    n = real.shape[-1]
    left = torch.arange(len(real))
    square, size = torch.zeros(2, len(real), dtype=torch.float64)
    factor, turned = real.new_empty(2, len(real), n, 2 * n)
    for start in range(0, n, width):
        stop = min(start + width, n)
        first, second = real[:, start:, start:stop], imaginary[:, start:, start:stop]
        if start:
            first, second = _less(first, second, factor, turned, start, slice(2 * start))
        block, good = _column(torch.complex(first, second))
        if len(good) < len(left):
            left, square, size, real, imaginary = (x[good] for x in (left, square, size, real, imaginary))
            first, second, factor, turned = first[good], second[good], factor[good], turned[good]
        if not len(left):
            break
        columns = slice(2 * start, 2 * stop)
        factor[:, start:, columns] = torch.cat((block.real, block.imag), -1)
        turned[:, start:, columns] = torch.cat((block.imag, -block.real), -1)
        first, second = _less(first, second, factor, turned, start, columns)
        for part in (first.tril(), second.tril()):
            square = inflate(square + 2.0 * _square(part))  # and, mirrored, above the diagonal
        size = inflate(size + _square(factor[:, start:, columns]))
    return left, square, size


def _less(
    first: Tensor, second: Tensor, factor: Tensor, turned: Tensor, start: int, columns: slice
) -> tuple[Tensor, Tensor]:
    """Rows from `start` less the product of some columns of L, in a column block as wide as `first`."""
    right = factor[:, start : start + first.shape[-1], columns].mT
    return (
        torch.baddbmm(first, factor[:, start:, columns], right, alpha=-1.0),
        torch.baddbmm(second, turned[:, start:, columns], right, alpha=-1.0),
    )


def _column(rest: Complex[Tensor, "many rows w"]) -> tuple[Complex[Tensor, "left rows w"], Int[Tensor, " left"]]:
    """Proposal for a column block of L, of those that have one, and which they are."""
    width = rest.shape[-1]
    corner, failed = torch.linalg.cholesky_ex(rest[:, :width])
    good = (failed == 0).nonzero().flatten()
    if len(good) < len(rest):
        corner, rest = corner[good], rest[good]
    inverse = torch.linalg.solve_triangular(corner, torch.eye(width, dtype=rest.dtype), upper=False)
    return torch.cat((corner, rest[:, width:] @ inverse.mH), 1), good


def _square(values: Float[Tensor, "many ..."]) -> Float[Tensor, " many"]:
    """Squared Frobenius norm of each, rounded up."""
    flat = values.flatten(1)
    norm = torch.linalg.vector_norm(flat, dim=1) * (1.0 + 2.0 * gamma(flat.shape[1] + 8))
    return inflate((inflate(norm) + 2.0**-470).square())
