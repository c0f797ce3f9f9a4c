r"""The largest eigenvalue of the symbol G(theta) of a Gram operator at single frequencies, proven in floating point.

At a frequency a Cholesky factor of t I - G(theta) proposes the bound t, and its computed and bounded residual proves
it, as in `gram`. `branch` says what the frequencies of a grid tell about those between them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from taut.certify.norms.gram import ScaledMatrix
from taut.certify.norms.taps import GramTaps, tap_norms
from taut.certify.norms.witness import defects
from taut.certify.rounding import UNDERFLOW, UNIT_ROUNDOFF, add_up, gamma, inflate, mul_up

ANGLE = 2.0**-46
"""Bound of the error of a computed cosine or sine of a rational angle: 128 roundings of room for the routine."""

_MEMORY = 2**18
"""Most complex entries of symbols that are held at once, but of four symbols always."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Symbols:
    """G(theta) at several frequencies of several groups, off by `error` in norm.

    The lower triangles count; those above differ from their mirror images by rounding.
    """

    real: Float[Tensor, "many n n"]
    imaginary: Float[Tensor, "many n n"]
    error: float

    def only(self, which: Bool[Tensor, " many"]) -> "Symbols":
        """Some of them."""
        return Symbols(real=self.real[which], imaginary=self.imaginary[which], error=self.error)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """The symbol of a Gram operator, ready to be evaluated."""

    taps: GramTaps
    even: Float[Tensor, "shifts entries"]
    """G_0, and G_tau + G_tau^T of half of the other shifts."""
    odd: Float[Tensor, "half entries"]
    """G_tau - G_tau^T."""
    error: float
    """Bound of the error of a symbol in norm: that of the taps, of the cosines, and of the sums."""
    cost: float
    """Of a frequency, in units of some 2.5e-11 seconds: a Cholesky factor, and many passes over the entries."""
    batch: int
    """How many frequencies are held at once."""


def spectrum(taps: GramTaps) -> Spectrum:
    """The taps in the form in which `symbols` sums them.

    A lower triangle's error is at most gamma + 2^-46 times that of sum over tau of |G_tau|, its Frobenius norm at most
    `tap_norms`; mirrored, and of two parts, it counts sqrt(2) sqrt(2) times.
    """
    relative = 2.0 * (gamma(2 * len(taps.shifts) + 8) + 2.0 * ANGLE)
    groups, n = taps.centre.shape[:2]
    sums = taps.others + taps.others.mT
    return Spectrum(
        taps=taps,
        even=torch.cat((taps.centre.unsqueeze(0), sums)).flatten(1),
        odd=(taps.others - taps.others.mT).flatten(1),
        error=add_up(mul_up(relative, tap_norms(taps)), add_up(taps.error, UNDERFLOW)),
        cost=groups * (n**3 + (2000.0 + 4.0 * len(taps.shifts)) * n**2 + 4e3),
        batch=max(4, _MEMORY // (groups * n * n)),
    )


def half_torus(grid: tuple[int, ...]) -> Int[Tensor, "frequencies axes"]:
    """The j of the frequencies 2 pi j / grid, one of each pair j, -j: their symbols are complex conjugates."""
    j = torch.cartesian_prod(*(torch.arange(n) for n in grid)).reshape(-1, len(grid))
    return j[first_of_pair(j, grid)]


def first_of_pair(j: Int[Tensor, "frequencies axes"], grid: tuple[int, ...]) -> Bool[Tensor, " frequencies"]:
    """Whether j, entries in [0, grid), comes before -j mod grid, or is the same."""
    place = torch.tensor([math.prod(grid[axis + 1 :]) for axis in range(len(grid))])
    mirrored = (-j) % torch.tensor(grid)
    return (j * place).sum(1) <= (mirrored * place).sum(1)


def symbols(spectrum: Spectrum, j: Int[Tensor, "frequencies axes"], grid: tuple[int, ...]) -> Symbols:
    """G_0 + sum over tau of cos(tau theta) (G_tau + G_tau^T) + i sin(tau theta) (G_tau - G_tau^T).

    theta = 2 pi j / grid. The angles are reduced exactly, as fractions of a turn.
    """
    taps = spectrum.taps
    turns = math.lcm(*grid)
    place = torch.tensor([turns // size for size in grid])
    shifts = torch.tensor([(0,) * len(grid), *taps.shifts])
    whole = ((j * place) @ shifts.T) % turns
    angle = torch.where(2 * whole > turns, whole - turns, whole).double() * (2.0 * math.pi / turns)
    size = (-1, *taps.centre.shape[1:])
    real, imaginary = angle.cos() @ spectrum.even, angle[:, 1:].sin() @ spectrum.odd
    return Symbols(real=real.view(size), imaginary=imaginary.view(size), error=spectrum.error)


def proven_eigenvalues(found: Symbols, shift: float) -> Float[Tensor, " many"]:
    """Per symbol an upper bound near `shift` of its largest eigenvalue; infinity where there is no Cholesky factor.

    The residual of the factor is counted, as is the rounding of each diagonal entry of shift I - G.
    """
    n = found.real.shape[-1]
    if n == 1:
        values = found.real.reshape(-1)
        return torch.where(values <= shift, inflate(values.clamp_min(0.0)) + found.error, math.inf)
    real, imaginary = -found.real, -found.imaginary
    real.diagonal(dim1=-2, dim2=-1).add_(shift)
    diagonal = real.diagonal(dim1=-2, dim2=-1).abs()
    rounding = inflate(diagonal.amax(1)) * (2.0 * UNIT_ROUNDOFF)  # of the sum with the shift
    return inflate(shift + inflate(defects(real, imaginary) + rounding)) + found.error


def largest_on_grid(spectrum: Spectrum, grid: tuple[int, ...]) -> float:
    """Upper bound of the eigenvalues of G at all frequencies 2 pi j / grid, above the largest by some 1e-8 relative."""
    best = 0.0
    for j in half_torus(grid).split(spectrum.batch):
        best = _largest(symbols(spectrum, j, grid), best)
    return best


def reshaped_bound(kernel: Float[Tensor, "groups o i *taps"], matrix: ScaledMatrix) -> float:
    r"""Upper bound of the squared norm of a stride-1 kernel, in all groups: its number of taps times that of a matrix.

    K(theta) is the matrix out x (in taps) after sqrt(taps) times an isometry, or (out taps) x in before the adjoint of
    one. Equality where there is one tap.
    """
    taps = kernel[0, 0, 0].numel()
    error = mul_up(gamma(kernel[0].numel()), mul_up(matrix.frobenius, matrix.frobenius))
    best = math.inf
    views = kernel.flatten(2), kernel.movedim(2, -1).flatten(1, -2)
    least = min(min(view.shape[1:]) for view in views)
    for matrices in views:
        if min(matrices.shape[1:]) > 1.5 * least:  # dear, and rarely the better one
            continue
        wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
        product = wide @ wide.mT
        found = Symbols(real=product, imaginary=torch.zeros_like(product), error=add_up(2.0 * error, UNDERFLOW))
        best = min(best, _largest(found, 0.0))
    return mul_up(best, float(taps))


def reshaped_estimate(kernel: Float[Tensor, "groups o i *taps"]) -> float:
    """About the least that `reshaped_bound` can be: if all singular values of the matrices were the same."""
    outputs, inputs, taps = kernel.shape[1], kernel.shape[2], kernel[0, 0, 0].numel()
    rank = max(min(outputs, inputs * taps), min(outputs * taps, inputs))
    return taps * float(kernel.flatten(1).square().sum(1).amax()) / rank


def _largest(found: Symbols, least: float) -> float:
    """max(least, bound of all eigenvalues): what exceeds `least` is computed, and then proven."""
    best, shift, top = least, least, 0.0
    for attempt in range(14):
        if shift > 0.0:
            proven = proven_eigenvalues(found, shift)
            left = proven.isinf()
            best = max(best, float(torch.where(left, 0.0, proven).amax()))
            if not bool(left.any()):
                return best
            found = found.only(left)
        if attempt == 0:
            plain = not bool(found.imaginary.any())
            matrices = found.real if plain else torch.complex(found.real, found.imaginary)
            top = float(torch.linalg.eigvalsh(matrices)[:, -1].amax())
        shift = max(shift, top * (1.0 + 4.0**attempt * 1e-9), 4.0**attempt * UNDERFLOW)
    return math.inf
