"""The operation `fourier`: a convolution on a torus whose symbols are orthogonal, made from a free kernel.

The symbols are computed here a second time, each with a bound of its distance to the exact one, in the Frobenius norm,
as docs/file_formats.md states it. What LAPACK returns is a proposal, of which the residual counts.
"""

import functools
import math
from fractions import Fraction

import numpy as np

from taut.verifier.arithmetic import Array, frobenius, gamma
from taut.verifier.errors import need
from taut.verifier.operations import Result, per_channel
from taut.verifier.program import Node

PI = Fraction(31415926535897932384626433832795028841971693993751058209749445923078164062862089, 10**79)
BITS = 256
LARGEST_SIDE = 4096  # beyond, the sums that are written out take too long
ROOM = 1 + 2.0**-40  # more than some hundred roundings of numbers >= 0 lose


@functools.cache
def circle(count: int) -> Array:
    """exp(-2 pi i j / count) for j = 0..count - 1, both parts correctly rounded, but for a 2^-100 that is cut."""
    half = count // 2 + 1  # the powers of the first one, in integers; the others are conjugate
    re, im = _first(count)
    x, y, values = 1 << BITS, 0, []
    for _ in range(half):
        values.append(complex(_rounded(x), _rounded(y)))
        x, y = (x * re - y * im) >> BITS, (x * im + y * re) >> BITS
    return np.array(values + [v.conjugate() for v in values[count - half : 0 : -1]])


def _rounded(value: int) -> float:
    return (value + (1 << (BITS - 101)) >> (BITS - 100)) / 2**100


def _first(count: int) -> tuple[int, int]:
    """exp(-2 pi i / count) as two integers over 2^BITS: its series, on an eighth of the angle, squared three times."""
    angle = int(-PI / (4 * count) * (1 << BITS))
    re, im, term, power = 0, 0, (1 << BITS, 0), 0
    while any(term):
        re, im, power = re + term[0], im + term[1], power + 1
        term = tuple(int(Fraction(t * angle, power << BITS)) for t in (-term[1], term[0]))
    for _ in range(3):
        re, im = (re * re - im * im) >> BITS, (2 * re * im) >> BITS
    return re, im


def checked(node: Node) -> tuple[int, int, int, int]:
    """Channels before and after, height and width of a node whose settings, tensors and input fit together."""
    weight, (height, width) = node.tensors["weight"], node.source[1:] if len(node.source) == 3 else (0, 0)
    need(node["kind"] in ("reflection", "cayley"), f"{node}: the kind is {node['kind']!r:.60}")
    need(len(node["channels"]) == 2 and len(node["size"]) == 2, f"{node}: channels or size is no pair")
    before, after = node["channels"]
    need(list(node.source) == [before, *node["size"]], f"{node}: {node.source} is not what it takes")
    need(max(node["size"]) <= LARGEST_SIDE, f"{node}: an image of {height} x {width} pixels")
    need(weight.ndim == 4 and weight.size > 0 and len(weight) == max(before, after), f"{node}: {weight.shape}")
    fits = node["kind"] == "reflection" or weight.shape[1] == min(before, after)
    need(fits, f"{node}: the kernel of shape {weight.shape} does not fit {node['channels']}")
    bias = node.tensors.get("bias")
    need(bias is None or bias.shape == (after,), f"{node}: the bias does not have {after} entries")
    return before, after, height, width


def roundings(node: Node) -> int:
    """k: of the sums there and back, and of the products between."""
    before, after, height, width = checked(node)
    root = [math.ceil(math.sqrt(v)) for v in (width // 2 + 1, height, min(before, after))]
    return root[0] * (4 * width + 12) + root[1] * (8 * height + 4) + 4 * root[2] * before + 8


def spread(node: Node, norm: str) -> float:
    """N: 1, and what the errors of the symbols add, in units of gamma_k."""
    need(norm == "l2", f"{node} is known in l2 only")
    return 1 + 1.5 * symbols(node)[1] / (roundings(node) * 2.0**-53) * ROOM


def fourier(node: Node, x: Array) -> Result:
    _, after, height, width = checked(node)
    size = (len(x), after, height, width)
    if not len(x):
        return np.zeros(size), np.zeros(size)
    columns = width // 2 + 1
    down = circle(height)[np.outer(np.arange(height), np.arange(height)) % height]
    along = circle(width)[np.outer(np.arange(width), np.arange(columns)) % width]
    spectrum = np.einsum("pt,bctk->pkcb", down, x @ np.real(along) + 1j * (x @ np.imag(along)), optimize=True)
    mixed = symbols(node)[0] @ spectrum
    up = np.einsum("tp,pkcb->bctk", down.conj(), mixed, optimize=True)
    twice = np.array([1.0 if 2 * k % width == 0 else 2.0 for k in range(columns)])
    back = (along * twice).T
    result = (np.real(up) @ np.real(back) + np.imag(up) @ np.imag(back)) / (height * width)
    lengths = [frobenius(image) * node_spread(node) / math.sqrt(math.prod(size[1:])) * ROOM for image in x]
    sizes = np.broadcast_to(np.array(lengths).reshape(-1, 1, 1, 1), size)
    if "bias" in node.tensors:
        bias = node.tensors["bias"]
        result, sizes = result + per_channel(bias, result), sizes + per_channel(np.abs(bias), result)
    return result, sizes


def node_spread(node: Node) -> float:
    """N in l2, computed once."""
    return node.kept.setdefault("fourier spread", spread(node, "l2"))


def symbols(node: Node) -> tuple[Array, float]:
    """The symbols (height, half of the width, out, in), and at least their distance to the exact ones, made once."""
    if "symbols" not in node.kept:
        before, after, height, width = checked(node)
        kernel = scaled(node)[:, :, :height, :width]
        taps = kernel.shape[2:]
        columns = width // 2 + 1
        along = circle(width)[np.outer(np.arange(taps[1]), np.arange(columns)) % width]
        down = circle(height)[np.outer(np.arange(height), np.arange(taps[0])) % height]
        part = kernel @ np.real(along) + 1j * (kernel @ np.imag(along))
        basis = np.einsum("pt,rctk->pkrc", down, part, optimize=True)
        off = gamma(3 * taps[0] + taps[1] + 8) * frobenius(np.abs(kernel).sum(axis=(2, 3))) * ROOM
        values, worst = np.empty((height, columns, after, before), dtype=np.complex128), 0.0
        for at in np.ndindex(height, columns):
            if node["kind"] == "reflection":
                found, error = reflection(basis[at], off, before, after)
            else:
                found, error = cayley(basis[at], off)
                found = found.conj().T if after < before else found
            values[at], worst = found, max(worst, error) if error == error else math.inf
        need(worst < 2.0**40, f"{node}: the kernel is too close to singular at some frequency")
        node.kept["symbols"] = values, worst * ROOM
    return node.kept["symbols"]


def scaled(node: Node) -> Array:
    """The kernel divided by its largest entry, or with row and column sums of at most 64."""
    kernel = node.tensors["weight"]
    size = np.abs(kernel)
    if node["kind"] == "reflection":
        return kernel / size.max() if kernel.any() else kernel
    sums = [math.fsum(row.ravel().tolist()) for row in (*size, *size.swapaxes(0, 1))]
    return kernel * (64.0 / max(sums)) if max(sums) > 64 else kernel


def length(matrix: Array) -> float:
    """At least the Frobenius norm of a complex matrix; NaN where an entry is none."""
    return frobenius(np.stack([np.real(matrix), np.imag(matrix)]))


def solved(matrix: Array, right: Array) -> Array:
    """A proposal for matrix^-1 right."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full(right.shape, np.nan, dtype=np.complex128)


def reflection(basis: Array, e: float, before: int, after: int) -> tuple[Array, float]:
    """The first rows and columns of I - 2 V (V^H V + d I)^-1 V^H, made orthogonal by two steps."""
    rows, columns = basis.shape
    root, g = math.sqrt(columns), gamma(3 * columns + 8)
    gram = basis.conj().T @ basis
    d = 1e-7 * float(np.real(np.trace(gram))) + 1e-20
    middle = gram + d * np.eye(columns)
    v, m = length(basis), length(middle)
    w = (1 + 1e-7 * root) * (2 * v * e + e * e + gamma(3 * rows + columns + 12) * v * v) + gamma(4) * root * d
    h = inverse_norm(middle, m, w, d)
    y = solved(middle, basis.conj().T)
    size = length(y)
    rounded = g * (m * size + v)
    rest = max(length(middle @ y - basis.conj().T), rounded) + rounded
    y2 = min(size, (math.sqrt(h) + h * (rest + e)) / (1 - h * w)) if h * w < 0.5 else size
    f = 2 * (math.sqrt(h) * (rest + e + w * y2) + e * y2) + g * (math.sqrt(min(before, after)) + 2 * v * size)
    values = np.eye(after, before) - 2 * basis[:after] @ y[:, :before]
    for _ in range(2):
        values = 1.5 * values - 0.5 * values @ (values.conj().T @ values)
        f = 3 * (1 + f) ** 2 * f + gamma(2 * (before + after) + 12) * min(before, after) * (1 + f) ** 4
    return values, f


def inverse_norm(middle: Array, m: float, w: float, d: float) -> float:
    """h: at least the spectral norm of M^-1, where M is within w of `middle`, and at least d I."""
    columns = len(middle)
    root, g = math.sqrt(columns), gamma(3 * columns + 8)
    x = solved(middle, np.eye(columns, dtype=np.complex128))
    size = length(x)
    rest = length(middle @ x - np.eye(columns)) + g * (m * size + root) + w * size
    plain = 1 / max(d - w, 1e-20) * ROOM
    if not rest < 0.5:
        return plain
    gram = x.conj().T @ x
    p, off = length(gram), g * size * size
    fourth = length(gram @ gram) + 2 * p * off + off * off + g * p * p
    return min(plain, fourth**0.25 / (1 - rest) * ROOM)


def cayley(basis: Array, e: float) -> tuple[Array, float]:
    """(2 M^-1 - I; -2 V_2 M^-1) with M = I + V_1 - V_1^H + V_2^H V_2."""
    rows, columns = basis.shape
    root, g, eye = math.sqrt(columns), gamma(3 * columns + 8), np.eye(columns)
    first, second = basis[:columns], basis[columns:]
    middle = eye + first - first.conj().T + second.conj().T @ second
    v, m = length(basis), length(middle)
    w = 2 * e + 2 * v * e + e * e + gamma(3 * rows + 12) * v * v + gamma(4) * (root + 2 * v)
    x = solved(middle, eye.astype(np.complex128))
    size = length(x)
    rounded = g * (m * size + root)
    rest = max(length(middle @ x - eye), rounded) + rounded
    x2 = min(size, (1 + rest) / (1 - w)) if w < 0.5 else size
    f = 3 * (rest + w * x2) + 2 * (e * x2 + g * v * size) + gamma(4) * (2 * size + root)
    return np.concatenate([2 * x - eye, -2 * second @ x]), f
