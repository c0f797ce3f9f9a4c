"""The layers `BROConv2d` and `CayleyConv2d` with mpmath: symbols and results, as docs/file_formats.md defines them."""

import mpmath
import numpy as np
import torch
from torch import Tensor


def symbol(
    kernel: Tensor, kind: str, channels: tuple[int, int], size: tuple[int, int], at: tuple[int, int]
) -> mpmath.matrix:
    """The exact symbol (out, in) of a free kernel, float64, at one frequency."""
    entries = [[[[mpmath.mpf(v) for v in row] for row in tap] for tap in line] for line in kernel.tolist()]
    weight = np.array(entries, dtype=object)
    sizes = abs(weight)
    factor = mpmath.mpf(1)
    if kind == "reflection" and sizes.max() > 0:
        factor = 1 / sizes.max()
    if kind == "cayley":
        largest = max(sizes.sum(axis=(1, 2, 3)).max(), sizes.sum(axis=(0, 2, 3)).max())
        factor = min(factor, 64 / largest) if largest > 0 else factor
    rows, columns = weight.shape[:2]
    basis = mpmath.zeros(rows, columns)
    for tall in range(min(weight.shape[2], size[0])):
        for wide in range(min(weight.shape[3], size[1])):
            turn = mpmath.mpf(at[0] * tall) / size[0] + mpmath.mpf(at[1] * wide) / size[1]
            wave = mpmath.expjpi(-2 * turn)
            basis += mpmath.matrix(weight[:, :, tall, wide].tolist()) * (wave * factor)
    if kind == "cayley":
        return _cayley(basis, adjoint=channels[1] < channels[0])
    ridge = mpmath.mpf(1e-7) * sum(abs(v) ** 2 for v in basis) + mpmath.mpf(1e-20)
    middle = basis.H * basis + ridge * mpmath.eye(columns)
    reflection = mpmath.eye(rows) - 2 * basis * mpmath.inverse(middle) * basis.H
    cut = reflection[: channels[1], : channels[0]]
    for _ in range(2):
        cut = cut * mpmath.mpf(3) / 2 - cut * cut.H * cut / 2
    return cut


def _cayley(basis: mpmath.matrix, *, adjoint: bool) -> mpmath.matrix:
    rows, columns = basis.rows, basis.cols
    square, rest = basis[:columns, :], basis[columns:, :] if rows > columns else None
    skew = square - square.H + (mpmath.zeros(columns) if rest is None else rest.H * rest)
    inverse = mpmath.inverse(mpmath.eye(columns) + skew)
    top = inverse * (mpmath.eye(columns) - skew)
    made = mpmath.zeros(rows, columns)
    made[:columns, :] = top
    if rest is not None:
        made[columns:, :] = -2 * rest * inverse
    return made.H if adjoint else made


def symbols(
    kernel: Tensor, kind: str, channels: tuple[int, int], size: tuple[int, int]
) -> dict[tuple[int, int], mpmath.matrix]:
    """At every frequency of the torus."""
    return {at: symbol(kernel, kind, channels, size, at) for at in np.ndindex(*size)}


def applied(made: dict[tuple[int, int], mpmath.matrix], x: Tensor, bias: Tensor | None) -> np.ndarray:
    """The exact result (out, height, width) for one image, as mpmath's numbers."""
    inputs, height, width = x.shape
    values = np.array([[[mpmath.mpf(v) for v in row] for row in image] for image in x.tolist()], dtype=object)
    there = {n: np.array([[mpmath.expjpi(-mpmath.mpf(2 * p * t) / n) for t in range(n)] for p in range(n)]) for n in
             (height, width)}  # fmt: skip
    spectrum = np.einsum("pt,ctk->cpk", there[height], np.einsum("ctx,kx->ctk", values, there[width]))
    outputs = next(iter(made.values())).rows
    mixed = np.empty((outputs, height, width), dtype=object)
    for at, matrix in made.items():
        column = matrix * mpmath.matrix([spectrum[channel][at] for channel in range(inputs)])
        mixed[(slice(None), *at)] = list(column)
    conjugate = np.vectorize(mpmath.conj, otypes=[object])
    back = np.einsum("tp,cpk->ctk", conjugate(there[height]), mixed)
    back = np.einsum("xk,ctk->ctx", conjugate(there[width]), back) / (height * width)
    real = np.vectorize(mpmath.re, otypes=[object])(back)
    return real if bias is None else real + np.array([mpmath.mpf(b) for b in bias.tolist()]).reshape(-1, 1, 1)


def distance(values: Tensor, exact: mpmath.matrix | np.ndarray) -> float:
    """Euclidean, or Frobenius."""
    flat = list(exact) if isinstance(exact, mpmath.matrix) else list(exact.flat)
    pairs = zip(torch.as_tensor(values).flatten().tolist(), flat, strict=True)
    return float(mpmath.sqrt(sum(abs(mpmath.mpmathify(a) - b) ** 2 for a, b in pairs)))
