r"""The symbols of convolutions that are orthogonal on a torus, computed from the free kernel, with a proven error.

With V the symbol of the kernel at a frequency, (rows, columns), the exact symbol is

- reflection: p(p(F)), F the first rows and columns of I - 2 V M^-1 V^H, with M = V^H V + d I, d = 1e-7 ||V||_F^2 +
  1e-20 and p(F) = (3 F - F F^H F) / 2; the kernel is divided by its largest |entry|;
- cayley: (2 M^-1 - I; -2 V_2 M^-1), M = I + V_1 - V_1^H + V_2^H V_2, V_1 the square part of V; the kernel is scaled
  down where its largest sum of |entries| of a row or column is above 64.

Both have norm at most 1: V M^-1 V^H lies between 0 and I, and p maps [0, 1] into itself; the other has orthonormal
columns. What LAPACK returns is a proposal whose residual is computed. Below, v, m, x, y are Frobenius norms of
computed matrices V, M, X, Y; h >= ||M^-1||, and x_2 and y_2 bound spectral norms; g_k is gamma_k. A complex product
of n terms is off by at most sqrt(2) g_2n <= g_3n relative to the product of Frobenius norms. V is off by e = g_{3 a +
b + 8} S for a x b taps, S = ||sum over taps of |kernel| ||_F, as one axis is transformed after the other.

Reflection: M is off by w = (1 + 1e-7 sqrt(columns)) (2 v e + e^2 + g_{3 rows + columns + 12} v^2) + g_4 sqrt(columns)
d. Singular values of V M^-1 are s / (s^2 + d) <= sqrt(h). A proposal Y for M^-1 V^H whose computed residual is
bounded by R leaves M Y - V^H = R + e + w y_2 with the exact M and V, and moves V Y by V M^-1 times that. So, with q
the smaller number of channels and y_2 = (sqrt(h) + h (R + e)) / (1 - h w), or y where that is less,

    F is off by   2 (sqrt(h) (R + e + w y_2) + e y_2) + g_{3 columns + 8} (sqrt(q) + 2 v y),

and each step p makes 3 (1 + f)^2 f of an error f, and adds its rounding, g_{2 (out + in) + 12} q (1 + f)^4.

Cayley: w = 2 e + 2 v e + e^2 + g_{3 rows + 12} v^2 + g_4 (sqrt(columns) + 2 v). As ||M^-1|| <= 1 and ||V_2 M^-1|| <=
1/2, a proposal X for M^-1 with residual R, and x_2 = (1 + R) / (1 - w), or x where that is less, the symbol is off by

    3 (R + w x_2) + 2 (e x_2 + g_{3 columns + 8} v x) + g_4 (2 x + sqrt(columns)).

R is what rounding may make of a computed residual, plus that residual or, where that is larger, the same once more:
so the bound does not hang on what a machine happened to round. The bounds are ours; Higham (2002), chapter 3, for the
constants.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from taut.certify.norms.turns import turns
from taut.certify.rounding import gamma, inflate, norm_up

Kind = Literal["reflection", "cayley"]

RIDGE, FLOOR, CAP = 1e-7, 1e-20, 64.0
_ROOM = 1.0 + 2.0**-40
"""More than what fewer than a thousand roundings of numbers >= 0 lose."""
_MEMORY = 2**21
"""Most entries of the matrices of one kind that are worked on at once, but of one frequency always."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Symbols:
    """The symbols of a layer at the half of the frequencies that a real transform holds."""

    values: Complex[Tensor, "frequencies out in"]
    error: float
    """The exact symbol at each frequency is within this of the value, in the Frobenius norm."""

    def to(self, device: torch.device | str) -> "Symbols":
        return Symbols(values=self.values.to(device), error=self.error)


def fourier_symbols(
    weight: Float[Tensor, "rows columns height width"], *, kind: Kind, channels: tuple[int, int], size: tuple[int, int]
) -> Symbols:
    """Symbols of the layer of `kind` with the free kernel `weight`, exact float64, for `channels` (in, out) and images
    of `size`. ValueError where the kernel is too large, or no error can be proven."""
    kernel = _scaled(weight, kind)[..., : size[0], : size[1]]
    basis = _transformed(kernel, size)
    sums = float(norm_up(inflate(kernel.abs().sum((2, 3)) * _ROOM).reshape(-1)))
    off = gamma(3 * kernel.shape[2] + kernel.shape[3] + 8) * sums * _ROOM
    together = max(1, _MEMORY // (basis.shape[1] * max(basis.shape[1:])))
    made = [_made(piece, off, kind, channels) for piece in basis.split(together)]
    error = float(torch.cat([errors for _, errors in made]).amax()) * _ROOM
    if not error < 2.0**40:
        raise ValueError("its free kernel is too close to singular at some frequency: nothing is proven of its symbols")
    return Symbols(values=torch.cat([values for values, _ in made]), error=error)


def _scaled(weight: Tensor, kind: Kind) -> Tensor:
    """By at most three roundings of each entry."""
    size = weight.abs()
    if kind == "reflection":
        largest = float(size.amax())
        return weight / largest if largest > 0.0 else weight
    try:
        rows, columns = ((size.movedim(axis, 0).flatten(1)).tolist() for axis in (0, 1))
        largest = max(map(math.fsum, (*rows, *columns)))
    except OverflowError as error:
        raise ValueError("its free kernel is too large for float64") from error
    return weight * (CAP / largest) if largest > CAP else weight


def half(size: int) -> int:
    """Frequencies of a real transform."""
    return size // 2 + 1


def waves(size: int, positions: int, frequencies: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of 2 pi p f / size, (positions, frequencies)."""
    cosines, sines = turns(size)
    index = torch.outer(torch.arange(positions), torch.arange(frequencies)) % size
    return cosines[index], sines[index]


def _transformed(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """V, (frequencies, rows, columns), along one axis after the other."""
    cosines, sines = waves(size[1], kernel.shape[3], half(size[1]))
    wide = torch.complex(kernel @ cosines, -(kernel @ sines))
    tall = torch.complex(*waves(size[0], size[0], kernel.shape[2])).conj()
    return (tall @ wide).permute(2, 3, 0, 1).flatten(0, 1)


def _made(basis: Tensor, off: float, kind: Kind, channels: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Symbols of some frequencies, and the error of each."""
    if kind == "cayley":
        values, error = _cayley(basis, off)
        return (values.mH.contiguous() if channels[1] < channels[0] else values), error
    values, error = _reflection(basis, off, channels)
    for _ in range(2):
        values, error = _polished(values, error)
    return values, error


def _size(matrix: Complex[Tensor, "many m n"]) -> Float[Tensor, " many"]:
    """Frobenius norms, rounded up."""
    return norm_up(torch.view_as_real(matrix.resolve_conj()).flatten(1))


def _eye(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.complex128)


def _reflection(basis: Tensor, off: float, channels: tuple[int, int]) -> tuple[Tensor, Tensor]:
    rows, columns = basis.shape[1:]
    root, trust = math.sqrt(columns), gamma(3 * columns + 8)
    gram = basis.mH @ basis
    ridge = RIDGE * gram.diagonal(dim1=-2, dim2=-1).real.sum(-1) + FLOOR
    middle = gram + ridge[:, None, None] * _eye(columns)
    v, m = _size(basis), _size(middle)
    wrong = 2.0 * v * off + off * off + gamma(3 * rows + columns + 12) * v.square()
    wrong = (1.0 + RIDGE * root) * wrong + gamma(4) * root * ridge
    h = _inverse_norm(middle, m, wrong, ridge)
    solution = torch.linalg.solve_ex(middle, basis.mH)[0]
    y = _size(solution)
    rounded = trust * (m * y + v)
    residual = torch.maximum(_size(middle @ solution - basis.mH), rounded) + rounded
    y2 = torch.where(h * wrong < 0.5, (h.sqrt() + h * (residual + off)) / (1.0 - h * wrong), torch.inf).minimum(y)
    lost = 2.0 * (h.sqrt() * (residual + off + wrong * y2) + off * y2)
    inputs, outputs = channels
    error = lost + trust * (math.sqrt(min(channels)) + 2.0 * v * y)
    eye = _eye(max(channels))[:outputs, :inputs]
    return eye - 2.0 * (basis[:, :outputs] @ solution[..., :inputs]), error


def _inverse_norm(middle: Tensor, m: Tensor, wrong: Tensor, ridge: Tensor) -> Tensor:
    """h >= ||M^-1||: from a computed inverse X and the residual I - M X, as ||X||^4 <= ||(X^H X)^2||_F; or 1 / d."""
    columns = middle.shape[-1]
    root, trust = math.sqrt(columns), gamma(3 * columns + 8)
    inverse = torch.linalg.inv_ex(middle)[0]
    x = _size(inverse)
    residual = _size(middle @ inverse - _eye(columns)) + trust * (m * x + root) + wrong * x
    gram = inverse.mH @ inverse
    p, off = _size(gram), trust * x.square()
    fourth = _size(gram @ gram) + 2.0 * p * off + off.square() + trust * p.square()
    found = torch.where(residual < 0.5, fourth.sqrt().sqrt() / (1.0 - residual), torch.inf)
    return found.minimum(1.0 / (ridge - wrong).clamp(min=FLOOR)) * _ROOM


def _cayley(basis: Tensor, off: float) -> tuple[Tensor, Tensor]:
    rows, columns = basis.shape[1:]
    root, trust, eye = math.sqrt(columns), gamma(3 * columns + 8), _eye(columns)
    square, rest = basis[:, :columns], basis[:, columns:]
    middle = eye + square - square.mH + rest.mH @ rest
    v, m = _size(basis), _size(middle)
    wrong = 2.0 * off + 2.0 * v * off + off * off + gamma(3 * rows + 12) * v.square() + gamma(4) * (root + 2.0 * v)
    inverse = torch.linalg.inv_ex(middle)[0]
    x = _size(inverse)
    rounded = trust * (m * x + root)
    residual = torch.maximum(_size(middle @ inverse - eye), rounded) + rounded
    x2 = torch.where(wrong < 0.5, (1.0 + residual) / (1.0 - wrong), torch.inf).minimum(x)
    error = 3.0 * (residual + wrong * x2) + 2.0 * (off * x2 + trust * v * x) + gamma(4) * (2.0 * x + root)
    return torch.cat((2.0 * inverse - eye, -2.0 * (rest @ inverse)), 1), error


def _polished(values: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """One step p, and its error from that of its argument."""
    outputs, inputs = values.shape[1:]
    rounded = gamma(2 * (outputs + inputs) + 12) * min(outputs, inputs) * (1.0 + error).pow(4)
    moved = 3.0 * (1.0 + error).square() * error + rounded
    return 1.5 * values - 0.5 * (values @ (values.mH @ values)), moved
