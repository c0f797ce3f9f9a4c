"""Whether the convolution with a kernel has norm at most a number (l2), on infinite images or around a torus."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from taut.verifier.arithmetic import Array, frobenius, gamma
from taut.verifier.norms import below

# Work after which a proof is given up, in multiplications; a frequency costs at least the second number.
BUDGET, LEAST = 4e11, 4e6


def adjoint(kernel: Array) -> Array:
    """The kernel (in, out, *taps) of the adjoint convolution: transposed and flipped."""
    return np.flip(kernel.swapaxes(0, 1), axis=tuple(range(2, kernel.ndim)))


def phases(weight: Array, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> list[Array]:
    """The kernels, one a group, of stride 1 whose norms' maximum is that of the strided convolution.

    The s = stride / gcd(stride, dilation) phases of each axis become channels; what is left of a dilation is invisible
    to the norm on infinite images.
    """
    out, channels, *taps = weight.shape
    steps = [s // math.gcd(s, d) for s, d in zip(stride, dilation, strict=True)]
    padded = np.pad(weight, [(0, 0), (0, 0), *((0, -k % s) for k, s in zip(taps, steps, strict=True))])
    split = padded.reshape(
        out, channels, *itertools.chain(*((-(-k // s), s) for k, s in zip(taps, steps, strict=True)))
    )
    axes = range(len(taps))
    split = split.transpose(0, 1, *(3 + 2 * i for i in axes), *(2 + 2 * i for i in axes))
    kernel = split.reshape(out, channels * math.prod(steps), *split.shape[2 + len(taps) :])
    return np.split(kernel, groups)


def decide(
    kernel: Array,
    limit: float,
    grid: list[tuple[int, int]] | None = None,
    error: float = 0.0,
    *,
    search: bool = True,
) -> bool:
    """Whether the convolution with `kernel` (out, in, *taps) is proven to have norm <= limit.

    `grid` has, per axis, the image's size and the dilation, where the convolution is around a torus. `error` bounds
    the Frobenius norm of what is missing in the kernel. Without `search`, only what needs no frequencies is tried.
    """
    if not limit > 0:
        return not kernel.any() and error == 0
    _, exponent = math.frexp(limit)  # exact scaling to about 1, but for underflow, which `lost` covers
    kernel, limit = np.ldexp(kernel, -exponent), math.ldexp(limit, -exponent)
    taps = math.prod(kernel.shape[2:])
    lost = math.sqrt(taps) * (math.ldexp(error, -exponent) + 2.0**-900) * (1 + 2.0**-40)
    limit = (limit - lost) * (1 - 2.0**-50)
    if not (limit > 0 and np.isfinite(kernel).all()):
        return False
    small = kernel if kernel.shape[0] >= kernel.shape[1] else adjoint(kernel)
    if _reshaped(small, limit) or (taps > 1 and (_gram(small, limit) or _gram(adjoint(small), limit))):
        return True
    if taps == 1 or not search:
        return False
    if grid is not None and _work(small, math.prod(n for n, _ in grid)) < BUDGET:
        return _on_grid(small, limit, grid)
    return _branch(small, limit)


def upper(kernel: Array, grid: list[tuple[int, int]] | None = None, error: float = 0.0) -> float:
    """A proven bound of the norm, tried from close to the value at some frequencies upwards."""
    if not kernel.any() and error == 0:
        return 0.0
    guess = _attained(kernel) + error * math.sqrt(kernel[0, 0].size)
    for excess in (1e-8, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 1.0):
        if (excess >= 1e-4 or kernel[0, 0].size == 1) and decide(kernel, guess * (1 + excess), grid, error):
            return guess * (1 + excess)
    return (frobenius(kernel) + error) * math.sqrt(kernel[0, 0].size) * (1 + 2.0**-40)


def _attained(kernel: Array) -> float:
    """The norm of the symbol at a frequency that is searched for, coarsely and then close to the best one."""
    if kernel[0, 0].size == 1:
        return float(np.linalg.norm(kernel.reshape(kernel.shape[:2]), 2))
    counts = np.array([1 if k == 1 else min(4 * k, 16) for k in kernel.shape[2:]])
    points, best = np.array(list(np.ndindex(*counts))), 0.0
    around = np.array(list(itertools.product(*((-1, 0, 1) if n > 1 else (0,) for n in counts))))
    for _ in range(10):
        values = np.linalg.norm(_symbols(kernel, points, list(counts)), 2, axis=(-2, -1))
        best, at = max(best, float(values.max())), points[int(np.argmax(values))]
        points, counts = np.where(counts > 1, 2, 1) * at + around, np.where(counts > 1, 2 * counts, 1)
    return best


def _reshaped(kernel: Array, limit: float) -> bool:
    """The norm of the weight as a matrix, either way, times the root of the number of taps."""
    out, channels, taps = *kernel.shape[:2], kernel[0, 0].size
    limit = limit / math.sqrt(taps) * (1 - 2.0**-50)
    wide, tall = kernel.reshape(out, channels * taps), kernel.swapaxes(0, 1).reshape(channels, out * taps)
    return bool(below(wide, limit) or (taps > 1 and below(tall, limit)))


def _gram(kernel: Array, limit: float) -> bool:
    """Near-orthogonal taps: ||T_0|| + sum ||T_delta||_F; Schur test: the weighted row sums of sum |T_delta|.

    T_delta = sum over t of W_t^T W_{t + delta} are the taps of K* K.
    """
    if _work(kernel, kernel[0, 0].size ** 2 / 10) > BUDGET:
        return False
    taps, n = kernel.shape[2:], kernel.shape[1]
    blocks = np.moveaxis(kernel, (0, 1), (-2, -1))
    zero = (0,) * len(taps)
    deltas = [d for d in itertools.product(*(range(1 - k, k) for k in taps)) if d >= zero]
    total, others = np.zeros((n, n)), 0.0
    for delta in deltas:
        left = blocks[tuple(slice(max(0, -d), min(k, k - d)) for d, k in zip(delta, taps, strict=True))]
        right = blocks[tuple(slice(max(0, d), min(k, k + d)) for d, k in zip(delta, taps, strict=True))]
        tap = left.reshape(-1, n).T @ right.reshape(-1, n)
        total += np.abs(tap) if delta == zero else np.abs(tap) + np.abs(tap).T
        others += 0.0 if delta == zero else 2 * frobenius(tap)
    error = 2 * len(deltas) * gamma(kernel[:, 0].size + 4) * frobenius(kernel) ** 2 * (1 + 2.0**-40)
    rest = limit * limit - (others + error) * (1 + 2.0**-40)
    if rest > 0 and below(blocks.reshape(-1, n), math.sqrt(rest) * (1 - 2.0**-50)):
        return True
    weights = np.ones(n)
    for _ in range(100):  # towards the Perron vector, the best weights there are
        weights = total @ weights
        weights = weights / max(float(weights.max()), 1e-300) + 1e-9
    rows = (total @ weights) / weights * (1 + gamma(n + len(deltas) + 8))
    return bool(rows.max() + error < limit * limit * (1 - 2.0**-50))


def _symbols(kernel: Array, numerators: Array, counts: Sequence[Any] | Array) -> Array:
    """K(theta) = sum over taps t of W_t exp(-i theta.t) at the angles 2 pi numerators / counts, (F, out, in)."""
    taps = np.array(list(np.ndindex(*kernel.shape[2:]))).reshape(kernel[0, 0].size, kernel.ndim - 2)
    angles = np.zeros((len(numerators), len(taps)))
    for axis, count in enumerate(counts):  # reduced as integers, so that the angle is exact but for two roundings
        angles += 2 * np.pi * (np.outer(numerators[:, axis], taps[:, axis]) % count) / count
    flat = kernel.reshape(*kernel.shape[:2], len(taps)).transpose(2, 0, 1).reshape(len(taps), -1)
    return (np.cos(angles) @ flat - 1j * (np.sin(angles) @ flat)).reshape(len(numerators), *kernel.shape[:2])


def _work(kernel: Array, frequencies: int | float) -> float:
    return frequencies * max(LEAST, 20.0 * kernel.shape[0] * kernel.shape[1] * min(kernel.shape[:2]))


def _proven(kernel: Array, numerators: Array, counts: Sequence[Any] | Array, limit: float) -> Array:
    """At which frequencies the symbol is proven to have norm <= limit; cosines and sines are trusted to 2^-46."""
    taps = kernel[0, 0].size
    error = 1.5 * (gamma(taps + 8) + 2.0**-45) * math.sqrt(taps) * frobenius(kernel)
    step = max(1, 2**21 // (kernel.shape[0] * kernel.shape[1] + taps))
    pieces = [numerators[i : i + step] for i in range(0, len(numerators), step)]
    return np.concatenate([below(_symbols(kernel, piece, counts), limit, error) for piece in pieces])


def _on_grid(kernel: Array, limit: float, grid: list[tuple[int, int]]) -> bool:
    """All frequencies of a torus, half of them by symmetry."""
    counts = [n for n, _ in grid]
    points = np.array([p for p in np.ndindex(*counts) if p[0] <= counts[0] // 2])
    return bool(_proven(kernel, points * np.array([d for _, d in grid]), counts, limit).all())


def _branch(kernel: Array, limit: float) -> bool:
    """Branch and bound over the frequencies of the infinite image.

    <v, K*K v> is a trigonometric polynomial of degree k - 1 an axis; where it has its maximum M over v and theta, it
    falls no faster than M cos^2(tau / 2), tau = sum (k - 1) |h|, within the distances h (Duffin and Schaeffer, 1938).
    So a cell whose centre is below limit cos(tau / 2) has no maximum above limit^2; other cells are split.
    """
    degrees = np.array(kernel.shape[2:]) - 1
    active = degrees > 0
    counts = np.where(active, 2 ** np.ceil(np.log2(np.maximum(2 * degrees * active.sum(), 2))).astype(int), 1)
    cells = np.array(list(np.ndindex(*counts)))
    first = int(np.argmax(active))
    cells = cells[cells[:, first] < counts[first] // 2]  # theta and -theta have conjugate symbols
    spent = 0.0
    while len(cells):
        spent += _work(kernel, 2 * len(cells))
        if spent > BUDGET or counts.max() > 2**20:
            return False
        tau = float((degrees * np.pi / counts).sum())
        proven = _proven(kernel, 2 * cells + 1, list(2 * counts), limit * math.cos(tau / 2) * (1 - 2.0**-40))
        cells = cells[~proven]
        if len(cells) and not _proven(kernel, 2 * cells + 1, list(2 * counts), limit).all():
            return False  # about as large as the limit already at a centre
        counts = np.where(active, 2 * counts, counts)
        steps = np.array(list(itertools.product(*((0, 1) if a else (0,) for a in active))))
        cells = (cells[:, None] * np.where(active, 2, 1) + steps).reshape(-1, len(counts))
    return True
