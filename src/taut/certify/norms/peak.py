r"""Where the symbol of a Gram operator is largest: estimates from below, without rigour, that aim the proofs."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from taut.certify.norms.cells import Cells, first_cells
from taut.certify.norms.torus import Spectrum, Symbols, symbols

_STARTS, _ROUNDS, _STEPS = 3, 4, 12
_DENSE, _WIDE = 32, 128
"""Up to this size eigenvalues are computed by the dense routine; beyond that one there is one start, and float32."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """An eigenvalue of G at some frequency, probably close to the largest of all."""

    value: float
    cells: Cells
    """Cells that cover all frequencies."""
    tops: Float[Tensor, " cells"]
    """Estimated largest eigenvalue, of all groups, at their centres."""


def find_peak(spectrum: Spectrum) -> Peak:
    """Local search from the best centres of a coarse cover: the vector u and the frequency are improved in turn.

    With u fixed, u* G(theta) u is a trigonometric polynomial with one coefficient per tap, which is cheap to maximise.
    """
    cells = first_cells(spectrum.taps.degrees)
    groups = len(spectrum.taps.centre)
    values, vectors = [], []
    for j in cells.j.split(spectrum.batch):
        value, u = top_eigenvalues(symbols(spectrum, j, cells.grid), steps=_STEPS)
        values.append(value)
        vectors.append(u)
    tops, starts = torch.cat(values), torch.cat(vectors)
    best = float(tops.amax())
    count = _STARTS if spectrum.taps.centre.shape[-1] <= _WIDE else 1
    for index in tops.topk(min(count, len(tops))).indices.tolist():
        angle = cells.j[index // groups].double() * (2.0 * math.pi / torch.tensor(cells.grid).double())
        best = max(best, _climb(spectrum, index % groups, angle, starts[index]))
    return Peak(value=best, cells=cells, tops=tops.view(-1, groups).amax(1))


def top_eigenvalues(found: Symbols, *, steps: int) -> tuple[Float[Tensor, " many"], Complex[Tensor, "many n"]]:
    """Largest eigenvalue of each symbol, from below, and its vector: a Lanczos iteration, fully reorthogonalised."""
    matrices = torch.complex(found.real, found.imaginary)
    many, n = matrices.shape[:2]
    if n == 1:
        return found.real.reshape(-1), torch.ones_like(matrices[:, 0])
    if n <= _DENSE:
        values, vectors = torch.linalg.eigh(matrices)
        return values[:, -1], vectors[:, :, -1]
    start = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(many, n)
    if n <= _WIDE:
        return _lanczos(matrices, start.to(torch.complex128), steps)
    values, vectors = _lanczos(matrices.to(torch.complex64), start.to(torch.complex64), steps)
    return values.double(), vectors.to(torch.complex128)


def _lanczos(
    matrices: Complex[Tensor, "many n n"], start: Complex[Tensor, "many n"], steps: int
) -> tuple[Float[Tensor, " many"], Complex[Tensor, "many n"]]:
    basis = _unit(start).unsqueeze(-1)
    images = matrices @ basis
    for _ in range(min(steps, matrices.shape[-1]) - 1):
        following = images[:, :, -1:]
        for _ in range(2):  # twice is enough
            following = following - basis @ (basis.mH @ following)
        basis = torch.cat((basis, _unit(following.squeeze(-1)).unsqueeze(-1)), dim=-1)
        images = torch.cat((images, matrices @ basis[:, :, -1:]), dim=-1)
    small = basis.mH @ images
    values, vectors = torch.linalg.eigh(0.5 * (small + small.mH))
    return values[:, -1], (basis @ vectors[:, :, -1:]).squeeze(-1)


def _unit(vectors: Complex[Tensor, "many n"]) -> Complex[Tensor, "many n"]:
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min(1e-30)


def _climb(spectrum: Spectrum, group: int, angle: Float[Tensor, " axes"], u: Complex[Tensor, " n"]) -> float:
    taps, value = spectrum.taps, 0.0
    if not taps.shifts:
        return value
    shifts = torch.tensor(taps.shifts, dtype=torch.float64)
    others, centre = taps.others[:, group], taps.centre[group]
    for _ in range(_ROUNDS):
        coefficients = torch.complex(others @ u.real, others @ u.imag) @ u.conj()
        angle = _best_angle(coefficients, shifts, angle, taps.degrees)
        phase = shifts @ angle
        real, imaginary = (torch.tensordot(part, others, dims=1) for part in (phase.cos(), phase.sin()))
        symbol = torch.complex(centre + real + real.mT, imaginary - imaginary.mT).unsqueeze(0)
        before = value
        value, u = _refined(symbol, u)
        if value <= before * (1.0 + 1e-6):
            break
    return value


def _refined(symbol: Complex[Tensor, "1 n n"], u: Complex[Tensor, " n"]) -> tuple[float, Complex[Tensor, " n"]]:
    if len(u) <= _DENSE:
        values, vectors = torch.linalg.eigh(symbol)
        return float(values[0, -1]), vectors[0, :, -1]
    value, vector = _lanczos(symbol, u.unsqueeze(0), _STEPS)
    return float(value), vector.squeeze(0)


def _best_angle(
    coefficients: Complex[Tensor, " half"],
    shifts: Float[Tensor, "half axes"],
    angle: Float[Tensor, " axes"],
    degrees: tuple[int, ...],
) -> Float[Tensor, " axes"]:
    """The angle that maximises u* G(theta) u: best of a lattice around the old one, refined."""
    steps = torch.tensor([math.pi / (2 * n) if n else 0.0 for n in degrees], dtype=torch.float64)
    side = torch.arange(-2.0, 3.0, dtype=torch.float64)
    lattice = torch.cartesian_prod(*([side] * len(degrees))).reshape(-1, len(degrees)) * steps
    for level in range(16):
        angles = angle + lattice * 0.5**level
        phases = angles @ shifts.T
        angle = angles[int((phases.cos() @ coefficients.real - phases.sin() @ coefficients.imag).argmax())]
    return angle
