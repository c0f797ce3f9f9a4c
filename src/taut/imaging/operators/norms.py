r"""Proven norms of operators: by the largest ratio of a positive vector, and by the symbol of a convolution."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.rounding import UNDERFLOW, add_up, gamma, mul_up, sqrt_up


@torch.no_grad()
def positive_norm_bound(
    normal: Callable[[Tensor], Tensor], start: Float[Tensor, "..."], *, terms: int, iterations: int = 40
) -> float:
    r"""Upper bound of ||A|| for a matrix A >= 0 entry by entry: the root of max_i (A^T A q)_i / q_i for any q > 0.

    A^T A is similar to diag(q)^-1 A^T A diag(q), whose row sums these are (Collatz, 1942; Wielandt, 1950). q comes from
    power iterations and need not be accurate. `normal` computes A^T A q in float64 as plain sums of products, at most
    `terms` roundings deep; nothing in them is negative, so that the relative error is gamma_terms.

    >>> matrix = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    >>> 2.41421 < positive_norm_bound(lambda q: matrix.T @ (matrix @ q), torch.ones(2).double(), terms=8) < 2.41422
    True
    """
    q = start.double()
    best = math.inf
    for _ in range(iterations):
        image = normal(q)
        best = min(best, float((image / q).amax()))
        if best == 0.0:
            return best
        q = image / image.amax() + 2.0**-30  # stays positive where A has no entries
    return sqrt_up(mul_up(best + UNDERFLOW, 1.0 + 4.0 * gamma(terms + 4)))


def symbol(kernel: Float[Tensor, "kh kw"], size: tuple[int, int]) -> tuple[Tensor, float]:
    r"""K(u, v) = sum_pq k_pq exp(-2 pi i (u p / h + v q / w)), complex (h, w), and a bound of its absolute error.

    p and q count from the centre of the kernel. A plain sum, not a fast transform: its error is bounded by the sizes
    of the taps.
    """
    kernel = kernel.double()
    sums = []
    for taps, length in zip(kernel.shape, size, strict=True):
        places = torch.arange(taps) - taps // 2
        turns = (torch.arange(length)[:, None] * places) % length
        angles = turns.double() * (2.0 * math.pi / length)
        sums.append(torch.complex(torch.cos(angles), -torch.sin(angles)))
    values = sums[0] @ kernel.to(torch.complex128) @ sums[1].T
    # each factor is off by 2^-48 (its angle, below 2 pi, by 3 roundings); a complex product has 4 and their sums
    share = 2.0**-45 + 4.0 * gamma(sum(kernel.shape) + 16)
    return values, mul_up(absolute_sum(kernel), share)


def absolute_sum(kernel: Float[Tensor, "..."]) -> float:
    """Upper bound of sum |k|, at least the norm of any convolution with k: circular, or padded by zeros."""
    total = float(kernel.double().abs().sum())
    return mul_up(total, 1.0 + 2.0 * gamma(kernel.numel() + 2))


def above(values: Float[Tensor, "..."], error: float) -> float:
    """Upper bound of the largest of exact numbers >= 0 that are known up to `error`, with 4 roundings of each."""
    return mul_up(add_up(float(values.amax()), error), 1.0 + 2.0**-48)


def below(values: Float[Tensor, "..."], error: float) -> float:
    """Lower bound of the smallest of them, at least 0."""
    return max(0.0, (float(values.amin()) - error) * (1.0 - 2.0**-48))
