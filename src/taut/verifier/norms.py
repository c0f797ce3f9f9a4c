"""Whether the largest singular value of a matrix is at most a number, proven by a Cholesky factor that is checked."""

import numpy as np

from taut.verifier.arithmetic import UNIT, Array, gamma


def below(matrices: Array, limits: Array | float, error: float = 0.0) -> Array:
    """For each matrix of the batch (..., m, n), whether W + E is proven to have norm <= its limit (l2).

    `error` bounds the Frobenius norm of the unknown E. Limits and entries are expected within some powers of two of 1.

    s^2 I - W^T W is formed, with a bound of its rounding error; if a multiple of the identity more than that error can
    be taken off and what is left still equals R R^T up to a residual that is computed, it is positive semi-definite.
    Nothing is assumed about how R was found (Rump, 2006). False means not proven.
    """
    batch = matrices.reshape(-1, *matrices.shape[-2:])
    limits = np.broadcast_to(limits, matrices.shape[:-2]).reshape(-1)
    if batch.shape[1] < batch.shape[2]:
        batch = batch.conj().swapaxes(1, 2)
    limits = (limits - error) * (1 - 2 * UNIT)
    proven = [_below(matrix, float(limit)) for matrix, limit in zip(batch, limits, strict=True)]
    return np.array(proven, dtype=bool).reshape(matrices.shape[:-2])


def _below(w: Array, limit: float) -> bool:
    """`below` of one matrix with m >= n; a complex product is two real sums of twice as many terms."""
    rows, n = w.shape
    if n == 0 or not limit > 0 or not np.isfinite(w).all():
        return n == 0
    twice, root = (2, 1.5) if np.iscomplexobj(w) else (1, 1.0)
    square = limit * limit * (1 - 4 * UNIT)
    mass = float(np.square(np.abs(w)).sum()) * (1 + gamma(w.size + 8))  # >= ||W||_F^2
    gram = w.conj().T @ w
    gram = np.tril(gram, -1)
    gram = gram + gram.conj().T
    diagonal = np.square(np.abs(w)).sum(axis=0)  # real; the same error bound as the product's
    slack = root * gamma(twice * rows + 4) * mass
    slack += 8 * UNIT * (np.sqrt(n) * square + mass) + 2.0**-900
    trace = float(np.abs(square - diagonal).sum())
    shift = 2 * (slack + 2 * root * gamma(twice * n + 8) * trace)
    rest = -gram
    np.fill_diagonal(rest, square - diagonal - shift)
    try:
        factor = np.linalg.cholesky(rest)
    except np.linalg.LinAlgError:
        return False
    factor = np.tril(factor)
    residual = rest - factor @ factor.conj().T
    sizes = float(np.square(np.abs(factor)).sum()) + float(np.sqrt(np.square(np.abs(rest)).sum()))
    off = float(np.sqrt(np.square(np.abs(residual)).sum()))
    lost = off * (1 + gamma(n * n + 8)) + root * gamma(twice * n + 4) * sizes * (1 + gamma(n * n + 8))
    return bool(slack + lost + 8 * UNIT * shift * np.sqrt(n) < shift)
