"""Whether the Lipschitz constant that a certificate states for an operation is proven."""

import math
from fractions import Fraction

import numpy as np

from taut.verifier import kernels
from taut.verifier.arithmetic import Array, gamma, multiply_up
from taut.verifier.blocks import Parts, expand, truncated_exponential_at_most
from taut.verifier.operations import apply_weight
from taut.verifier.program import Node
from taut.verifier.table import exact_constant
from taut.verifier.windows import copies

SLACK = 2.0**-24


def proves(node: Node, stated: float, norm: str) -> bool:
    """Whether `stated` is proven to be a Lipschitz constant of the node, and, where it is known, not far above it."""
    exact = exact_constant(node, norm)
    if exact is not None:
        return bool(exact <= stated <= exact * (1 + SLACK))
    if node.op in ("linear", "conv", "conv_transpose"):
        return bool(row_sum(node) <= stated) if norm == "linf" else spectral_at_most(node, stated)
    if norm == "linf":
        return bool(_block_linf(node) <= stated)
    return residual_at_most(node, stated) if node.op == "residual" else _exponential_at_most(node, stated)


def bound(node: Node, norm: str) -> float:
    """A proven constant of a linear map, within about a hundredth of the best one."""
    if norm == "linf":
        return row_sum(node)
    factor, pieces, grid = spectral_options(node)[0]
    return float(factor * max(kernels.upper(piece, grid) for piece in pieces) * (1 + 2.0**-50))


def row_sum(node: Node) -> float:
    """At least the norm of a linear map in linf: the result of |W| on ones."""
    weight = node.tensors["weight"]
    if not weight.any():
        return 0.0
    sums = apply_weight(node, np.ones((1, *node.source)), np.abs(weight), None)
    return float(sums.max(initial=0.0)) * (1 + 2 * gamma(weight.size + 8)) + 2.0**-1000


def spectral_at_most(node: Node, stated: float) -> bool:
    """Whether one of the ways to see the operator proves that its largest singular value is at most `stated`."""
    return any(
        all(kernels.decide(piece, stated / factor * (1 - 2.0**-50), grid) for piece in pieces)
        for factor, pieces, grid in spectral_options(node)
    )


def spectral_options(node: Node) -> list[tuple[float, list[Array], list[tuple[int, int]] | None]]:
    """Triples (f, kernels, torus): the norm is at most f times the largest norm of the convolutions of stride 1.

    - Zeros: a part of the convolution of an infinite image. Other padding copies pixels: the root of their number.
    - Circular, and the stride divides the image: rows of a circulant, some of them more than once.
    - Circular: rows of the circulant of stride 1.
    """
    weight = node.tensors["weight"]
    if node.op == "linear":
        return [(1.0, [weight], None)]
    stride, dilation, groups = (tuple(node["stride"]), tuple(node["dilation"]), node["groups"])
    pieces = kernels.phases(weight, stride, dilation, groups)
    if node.op == "conv_transpose" or node["padding_mode"] == "zeros":
        return [(1.0, pieces, None)]
    repeated = math.prod(copies(node, weight.shape[2:]))
    options: list[tuple[float, list[Array], list[tuple[int, int]] | None]] = []
    if node["padding_mode"] == "circular":
        sizes, outs = node.source[1:], node.shape[1:]
        starts = zip(outs, stride, sizes, strict=True)
        seam = math.prod(int(np.bincount(np.arange(o) * s % n).max()) for o, s, n in starts)
        # a stride is kept on axes whose size it divides; on the others the outputs are some of those of stride 1
        dividing = tuple(s if n % s == 0 else 1 for n, s in zip(sizes, stride, strict=True))
        for used in {dividing, (1,) * len(stride)}:
            rest = [d // math.gcd(s, d) for s, d in zip(used, dilation, strict=True)]
            torus = list(zip([n // s for n, s in zip(sizes, used, strict=True)], rest, strict=True))
            options.append((_root(seam), kernels.phases(weight, used, dilation, groups), torus))
    return sorted([*options, (_root(repeated), pieces, None)], key=lambda option: option[0])


def _root(value: int) -> float:
    return math.sqrt(value) * (1 + 2.0**-50) if value > 1 else 1.0


def _block_linf(node: Node) -> float:
    """1 + ||G|| ||F||, or sum of ||A||^i / i! over the terms."""
    parts = expand(node)
    if node.op == "residual":
        product = multiply_up(row_sum(parts.inner), row_sum(parts.outer))
        return (product + 1.0) * (1 + 2.0**-50) if node["shortcut"] else product
    norm = row_sum(parts.inner)
    return sum(norm**i / math.factorial(i) for i in range(node["terms"])) * (1 + 2.0**-46)


def _adjoint_is_flipped(node: Node, taps: tuple[int, ...]) -> bool:
    """Whether the adjoint of the block's convolutions is the convolution with the flipped kernel, padded alike."""
    if node["kind"] == "linear":
        return True
    same = zip(node["padding"], taps, node["dilation"], strict=True)
    return node["padding_mode"] in ("zeros", "circular") and all(2 * a == 2 * b == d * (k - 1) for (a, b), k, d in same)


def residual_at_most(node: Node, stated: float) -> bool:
    """Whether f(x) = P x - G relu(F x + b), or G relu(F x + b), is proven to have constant <= stated in l2.

    With w the difference of the relu, w^T D w <= w^T D F x for every diagonal D > 0. Let x_1 be the channels that P
    keeps, x_2 the others (all of them without P), E = G_1 - F_1^T D and v = D^1/2 w. Then |v| <= phi |x|, and

        |f|^2 <= |x|^2 + (a^2 - 2) |v|^2 + 2 rho |x| |v|,

    with a = ||(G; F_2^T D) D^-1/2||, rho = ||E D^-1/2||, phi = ||D^1/2 F||. So the constant's square is at most
    1 + rho^2 / (2 - a^2) if a^2 < 2, and 1 + 2 rho phi + max(0, a^2 - 2) phi^2 always. Without P, where rho = 0, the
    constant is at most a^2 / 2, too: that of f / L is at most 1 for L = a^2 / 2 and D / L in the place of D.
    """
    parts = expand(node)
    inner, outer = parts.inner.tensors["weight"], parts.outer.tensors["weight"]
    grid = parts.grid
    if _adjoint_is_flipped(node, inner.shape[2:]) and any(
        _theorem(node, d, kernels.adjoint(inner), outer, stated, grid, search)
        for search in (False, True)
        for d in _diagonals(node, inner, outer)
    ):
        return True
    rest = Fraction(stated) - (1 if node["shortcut"] else 0)
    outer_norm = bound(parts.outer, "l2")
    if rest <= 0 or outer_norm == 0:
        return rest >= 0 and outer_norm == 0
    return spectral_at_most(parts.inner, float(rest / Fraction(outer_norm)) * (1 - 2.0**-50))


def _diagonals(node: Node, inner: Array, outer: Array) -> list[Array]:
    """Proposals for D: the least squares of G_1 = F_1^T D; without a shortcut 1, `_balanced`, and |g| / |f|."""
    transposed = kernels.adjoint(inner)
    hidden = tuple(i for i in range(inner.ndim) if i != 1)
    with np.errstate(all="ignore"):
        f, g = np.square(transposed).sum(axis=hidden), np.square(outer).sum(axis=hidden)
        if node["shortcut"]:
            kept = min(len(transposed), len(outer))
            f = np.square(transposed[:kept]).sum(axis=hidden)
            found = [(transposed[:kept] * outer[:kept]).sum(axis=hidden) / f]
        else:
            found = [np.ones_like(f), _balanced(transposed, outer), np.sqrt(g / f)]
    usable = [np.where(np.isfinite(d) & (d > 0), d, np.nan) for d in found]
    return [np.nan_to_num(d, nan=float(np.nanmin(d, initial=1.0))) for d in usable]


def _balanced(transposed: Array, outer: Array) -> Array:
    """D for which the columns of (G; F^T D) D^-1/2 are orthogonal, if there is one: D_i D_j = -<g_i, g_j> / <f_i, f_j>,
    in the least squares of the logarithms."""
    f, g = (np.moveaxis(k, 1, -1).reshape(-1, k.shape[1]) for k in (transposed, outer))
    f, g = f.T @ f, g.T @ g
    weights = np.abs(f * g) * (f * g < 0)
    goals = np.where(weights > 0, np.log(np.abs(g / f)), 0.0)
    system = weights + np.diag(weights.sum(axis=1) + 1e-12 * weights.max(initial=1e-300))
    return np.exp(np.linalg.solve(system, (weights * goals).sum(axis=1)))


def _theorem(
    node: Node,
    d: Array,
    transposed: Array,
    outer: Array,
    stated: float,
    grid: list[tuple[int, int]] | None,
    search: bool,
) -> bool:
    """The theorem of the block for one D; `transposed` is the kernel of F's adjoint."""
    shape = (1, -1, *[1] * (outer.ndim - 2))
    kept = min(len(transposed), len(outer)) if node["shortcut"] else 0
    root = np.sqrt(d).reshape(shape)
    first = transposed[:kept] * d.reshape(shape)
    size = np.linalg.norm(outer / root) + np.linalg.norm(transposed * root)
    error = float(size) * 2.0**-49  # of every kernel formed here
    rho = kernels.upper((outer[:kept] - first) / root, grid, error) if kept else 0.0
    phi = kernels.upper(transposed * root, grid, error)
    square = Fraction(stated) ** 2
    rest = square - 1 - 2 * Fraction(rho) * Fraction(phi)
    if phi == 0 and rest >= 0:
        return True
    limits = [Fraction(0)]  # of a^2
    if rest >= 0:
        limits.append(2 + rest / Fraction(phi) ** 2)
    elif square > 1:
        limits.append(2 - Fraction(rho) ** 2 / (square - 1))
    if not kept:
        limits.append(2 * Fraction(stated))
    stacked = np.concatenate([outer / root, transposed[kept:] * root])
    return kernels.decide(stacked, math.sqrt(max(limits)) * (1 - 2.0**-50), grid, error, search=search)


def _exponential_at_most(node: Node, stated: float) -> bool:
    """Whether the truncated exponential of a skew convolution is proven to have constant <= stated in l2.

    Skew to the bit and padded alike on both sides, A is normal with eigenvalues i t, |t| <= ||A||.
    """
    parts: Parts = expand(node)
    kernel = parts.inner.tensors["weight"]
    same = all(2 * a == 2 * b == k - 1 for (a, b), k in zip(node["padding"], kernel.shape[2:], strict=True))
    skew = np.array_equal(kernel, -kernels.adjoint(kernel)) and node["padding_mode"] in ("zeros", "circular") and same
    if node["padding_mode"] not in ("zeros", "circular"):
        return False  # pixels are copied, and the kernel alone says nothing
    norm = kernels.upper(kernel, parts.grid)
    if not skew:
        return bool(sum(norm**i / math.factorial(i) for i in range(node["terms"])) * (1 + 2.0**-46) <= stated)
    return truncated_exponential_at_most(node["terms"], norm, stated)
