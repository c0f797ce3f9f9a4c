"""The parts of the proof of a convolution's norm: against 50-digit arithmetic, and against what each is for."""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

from taut.certify import conv_norm_bound
from taut.certify.norms import convolution
from taut.certify.norms.branch import supremum_bound
from taut.certify.norms.cells import first_cells
from taut.certify.norms.convolution import NEAR, RESHAPED, SCHUR, prove_conv_norm
from taut.certify.norms.gram import ScaledMatrix, scale
from taut.certify.norms.peak import Peak, find_peak
from taut.certify.norms.spectral import prove_spectral_norm
from taut.certify.norms.stencil import Geometry
from taut.certify.norms.taps import gram_taps, near_orthogonal_bound, schur_bound
from taut.certify.norms.torus import (
    Symbols,
    half_torus,
    largest_on_grid,
    proven_eigenvalues,
    reshaped_bound,
    spectrum,
    symbols,
)


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mpmath.workdps(50):
        yield


def plain(axes: int, stride: int = 1, **options: Any) -> Geometry:
    return Geometry(stride=(stride,) * axes, padding=((0, 0),) * axes, dilation=(1,) * axes, **options)


def kernel(*shape: int, seed: int = 0) -> tuple[Tensor, ScaledMatrix]:
    """(groups, out, in, taps...) with entries below 1, and what `scale` says of it."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scaled = scale(values.flatten(1))
    return scaled.values.view(shape), scaled


def exact_symbol_norm(weight: Tensor, j: tuple[int, ...], grid: tuple[int, ...]) -> mpmath.mpf:
    """Largest singular value of sum over t of K_t exp(2 pi i j t / grid), squared."""
    rows, columns = weight.shape[:2]
    symbol = mpmath.matrix(rows, columns)
    for t in product(*(range(n) for n in weight.shape[2:])):
        turn = sum(Fraction(a * b, n) for a, b, n in zip(j, t, grid, strict=True))
        phase = mpmath.expjpi(2 * mpmath.mpf(turn.numerator) / turn.denominator)
        for row, column in product(range(rows), range(columns)):
            symbol[row, column] += phase * mpmath.mpf(float(weight[(row, column, *t)]))
    square = symbol.H * symbol if columns <= rows else symbol * symbol.H
    return max(mpmath.eighe(square, eigvals_only=True))


@pytest.mark.parametrize("shape", [(1, 3, 2, 3), (1, 2, 2, 3, 2), (1, 1, 1, 4), (1, 2, 2, 2, 1, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_proven_eigenvalues_lie_above_the_exact_ones_and_near(shape: tuple[int, ...], seed: int) -> None:
    values, scaled = kernel(*shape, seed=seed)
    found = spectrum(gram_taps(values, scaled))
    grid = (7, 5, 3)[: len(shape) - 3]
    frequencies = half_torus(grid)
    top = mpmath.mpf(0)
    for j in frequencies:
        exact = exact_symbol_norm(values[0], tuple(j.tolist()), grid)
        top = max(top, exact)
        symbol = symbols(found, j.unsqueeze(0), grid)
        for shift in (float(exact) * (1 + 1e-12), float(exact) * 1.5):
            bound = float(proven_eigenvalues(symbol, shift)[0])
            assert exact <= bound
            assert bound == math.inf or bound <= shift * (1 + 1e-11) + 1e-11
        assert float(proven_eigenvalues(symbol, float(exact) * (1 - 1e-9) - 1e-9)[0]) == math.inf
    assert top <= largest_on_grid(found, grid) <= top * (1 + 1e-7)


@pytest.mark.parametrize("n", [2, 5, 16, 17, 70, 300])  # one block of columns, and several
def test_a_wrong_cholesky_factor_costs_its_residual(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(n)
    parts = torch.randn(2, 2, n, n, generator=generator, dtype=torch.float64)
    real, imaginary = parts[0] + parts[0].mT, parts[1] - parts[1].mT
    lies: list[Tensor] = []

    def lie(block: Tensor) -> tuple[Tensor, Tensor]:
        lies.append(torch.randn(block.shape, generator=generator, dtype=torch.complex128).tril())
        lies[-1].diagonal(dim1=1, dim2=2).add_(3.0 * n)  # so that what follows does not grow out of all bounds
        return lies[-1], torch.zeros(len(block), dtype=torch.int32)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", lie)
    shift = 0.5
    matrices = shift * torch.eye(n) - torch.complex(real, imaginary)
    proven = proven_eigenvalues(Symbols(real=real, imaginary=imaginary, error=0.0), shift)
    left, columns = torch.zeros(2, n, 0, dtype=torch.complex128), 0
    for corner in lies:  # the rows below a corner are what they would be if it were right
        width = corner.shape[-1]
        rest = (matrices - left @ left.mH)[:, columns + width :, columns : columns + width]
        below = torch.linalg.solve_triangular(corner, rest.mH, upper=False)
        block = torch.cat((torch.zeros(2, columns, width), corner, below.mH), 1)
        left, columns = torch.cat((left, block), 2), columns + width
    size = torch.linalg.matrix_norm(matrices - left @ left.mH)
    tops = torch.linalg.eigvalsh(torch.complex(real, imaginary))[:, -1]
    assert bool((proven >= shift + size * (1 - 1e-9)).all())
    assert bool((proven <= shift + size * 1.5).all())  # the diagonal counts twice
    assert bool((proven >= tops * (1 - 1e-12)).all())


def test_a_cholesky_factor_that_is_no_number_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.zeros(2, 3, 3, dtype=torch.float64)
    for value in (math.nan, math.inf):
        lie = torch.full((2, 3, 3), value, dtype=torch.complex128), torch.zeros(2, dtype=torch.int32)
        monkeypatch.setattr(torch.linalg, "cholesky_ex", lambda block, lie=lie: lie)
        proven = proven_eigenvalues(Symbols(real=real, imaginary=real, error=0.0), 1.0)
        assert proven.tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("n", [3, 40, 90])
def test_matrices_without_a_factor_are_told_from_those_with_one(n: int) -> None:
    """They are dropped at the block of columns at which it shows."""
    generator = torch.Generator().manual_seed(n)
    half = torch.randn(30, n, n, 2, generator=generator, dtype=torch.float64)
    matrices = torch.view_as_complex(half) @ torch.view_as_complex(half).mH
    tops = torch.linalg.eigvalsh(matrices)[:, -1]
    shift = float(tops.median())
    found = Symbols(real=matrices.real, imaginary=matrices.imag, error=0.0)
    proven = proven_eigenvalues(found, shift)
    assert torch.equal(proven.isinf(), tops > shift * (1 + 1e-12)) or shift in tops
    assert bool((proven[tops < shift * (1 - 1e-9)] <= shift * (1 + 1e-9)).all())
    assert bool(proven[tops > shift * (1 + 1e-9)].isinf().all())


def test_half_of_the_torus_stands_for_all() -> None:
    for grid in ((1,), (6,), (5, 4), (3, 2, 4)):
        half = {tuple(j.tolist()) for j in half_torus(grid)}
        mirrored = {tuple(-a % n for a, n in zip(j, grid, strict=True)) for j in half}
        assert half | mirrored == set(product(*(range(n) for n in grid)))


@pytest.mark.parametrize("degrees", [(2,), (2, 2), (1, 3), (0, 2), (2, 1, 2), (0, 0)])
@pytest.mark.parametrize("fineness", [2, 3, 5])
def test_cells_cover_the_torus_and_their_parts_cover_it_too(degrees: tuple[int, ...], fineness: int) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(400, len(degrees), generator=generator, dtype=torch.float64)
    cells = first_cells(degrees, fineness=fineness)
    for _ in range(3):
        centres = cells.j.double() / torch.tensor(cells.grid, dtype=torch.float64)
        distances = []
        for sign in (1, -1):
            apart = (points.unsqueeze(1) - sign * centres).abs() % 1.0
            weighted = torch.minimum(apart, 1.0 - apart) * 2 * math.pi * torch.tensor(degrees, dtype=torch.float64)
            distances.append(weighted.sum(-1).amin(1))
        nearest = torch.minimum(*distances)
        assert float(nearest.amax()) <= cells.width(degrees) * (1 + 1e-12)
        assert float(nearest.amax()) >= 0.5 * cells.width(degrees)  # not more cells than needed
        if len(cells.j) > 2000:
            return
        cells = cells.split(cells.j)


@pytest.mark.parametrize("aim", [0.3, 0.9, 1.0, 1.7])
@pytest.mark.parametrize("work", [1.0, 1e7, 1e10])
@pytest.mark.parametrize("shape", [(1, 3, 3, 4), (2, 2, 2, 3, 3)])
def test_the_search_is_sound_wherever_it_is_aimed_and_whenever_it_stops(
    aim: float, work: float, shape: tuple[int, ...]
) -> None:
    values, scaled = kernel(*shape)
    taps = gram_taps(values, scaled)
    found = spectrum(taps)
    grid = (600,) if len(shape) == 4 else (80, 80)
    sup = largest_on_grid(found, grid)
    right = find_peak(found)
    peak = Peak(value=right.value * aim, cells=right.cells, tops=right.tops * aim)
    bound = supremum_bound(found, peak, bottom=0.0, known=math.inf, tightness=1e-4, work=work)
    assert sup * (1 - 1e-7) <= bound
    if work == 1e10:
        assert bound <= max(1.0, aim) * sup * (1 + 1e-2)


@pytest.mark.parametrize("shape", [(1, 3, 2, 3), (2, 2, 3, 2, 2), (1, 2, 2, 1)])
def test_every_proof_of_the_taps_lies_above_the_supremum(shape: tuple[int, ...]) -> None:
    for seed, side in product(range(10), (False, True)):
        values, scaled = kernel(*shape, seed=seed)
        if seed % 2:
            values = values.abs()
        taps = gram_taps(values.transpose(1, 2) if side else values, scaled)
        sup = largest_on_grid(spectrum(taps), (64,) if len(shape) == 4 else (32, 32))
        centre, radius = near_orthogonal_bound(taps)
        assert min(centre + radius, schur_bound(taps), reshaped_bound(values, scaled)) >= sup * (1 - 1e-7)
        if seed % 2 and shape[0] == 1:  # of a positive kernel the frequency zero is the worst, and Schur's test exact
            assert schur_bound(taps) <= sup * (1 + 1e-6)
        if shape[3:] == (1,):
            assert reshaped_bound(values, scaled) <= sup * (1 + 1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e300, 1e-300, 2.0**-1040, 1e-40, 5e-324])
@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 1, 2), (2, 2, 2, 2), (3, 1, 5)])
def test_bounds_hold_for_huge_tiny_and_rank_one_weights(factor: float, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(shape, generator=generator, dtype=torch.float64)
    outer = torch.einsum("o,i...->oi...", base.flatten(1)[:, 0], base[0])
    for values in (base, base.abs(), outer.abs(), torch.ones(shape, dtype=torch.float64)):
        weight = values * factor
        bound = conv_norm_bound(weight)
        axes = len(shape) - 2
        worst = max(exact_symbol_norm(weight, j, (4,) * axes) for j in product(range(4), repeat=axes))
        assert mpmath.mpf(bound) >= mpmath.sqrt(worst)
        if bool((values >= 0).all()):
            # up to the smallest subnormal numbers, to multiples of which a bound is rounded
            assert mpmath.mpf(bound) <= mpmath.sqrt(worst) * (1 + mpmath.mpf(1e-3)) + mpmath.mpf(2) ** -1073
    assert conv_norm_bound(torch.zeros(shape)) == 0.0


def orthogonal_kernel(channels: int, size: int, seed: int = 0) -> Tensor:
    """A rotation after shifts of a random subspace by one pixel along each axis: every symbol is unitary."""
    generator = torch.Generator().manual_seed(seed)

    def rotation() -> Tensor:
        return torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64))[0]

    result = rotation()[:, :, None, None]
    for step in range(2 * (size - 1)):
        part = rotation()[:, : channels // 2]
        first = torch.einsum("om,mikl->oikl", part @ part.T, result)
        pad = (0, 0, 0, 1) if step % 2 else (0, 1, 0, 0)
        back = (0, 0, 1, 0) if step % 2 else (1, 0, 0, 0)
        result = torch.nn.functional.pad(first, pad) + torch.nn.functional.pad(result - first, back)
    return result


@pytest.mark.parametrize(("dtype", "excess"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
@pytest.mark.parametrize("channels", [4, 32])
def test_orthogonal_kernels_are_proven_to_be_so(dtype: torch.dtype, excess: float, channels: int) -> None:
    square = orthogonal_kernel(channels, 3)
    # of a strided one, K K* = I holds for 2 x 2 blocks of pixels, orthonormal, after a stride-1 one
    blocks = torch.linalg.qr(torch.randn(4 * channels, channels, dtype=torch.float64))[0].T.reshape(channels, -1, 2, 2)
    inner = orthogonal_kernel(channels, 2, seed=1)
    wide = torch.nn.functional.conv2d(inner.transpose(0, 1), blocks.flip(2, 3), padding=1).transpose(0, 1)
    for weight, stride in ((square, 1), (square[: channels // 2], 1), (square[:, : channels // 2], 1), (wide, 2)):
        for transposed in (False, True):
            found = prove_conv_norm(weight.to(dtype), plain(2, stride, transposed=transposed))
            assert 1 - 1e-6 <= found.bound <= 1 + excess
            assert found.method == NEAR


def test_scaled_and_reshaped_kernels_are_proven_by_their_own_argument() -> None:
    generator = torch.Generator().manual_seed(0)
    for outputs, inputs in ((3, 6), (6, 3), (4, 4)):
        weight = torch.rand(outputs, inputs, 3, 3, generator=generator, dtype=torch.float64)
        gram = torch.nn.functional.conv2d(weight.transpose(0, 1), weight.transpose(0, 1), padding=2)
        scaled = weight * gram.abs().sum((1, 2, 3)).rsqrt()[:, None, None]  # almost-orthogonal rescaling
        found = prove_conv_norm(scaled, plain(2))
        assert 0.9 < found.bound <= 1 + 1e-6
        assert found.method == SCHUR
    ones = torch.ones(1, 3, 3, dtype=torch.float64) / 3  # rank one as a matrix, its norm times sqrt(3) attained
    assert 1 - 1e-12 <= conv_norm_bound(ones[:, :1]) <= 1 + 1e-8
    assert prove_spectral_norm(ones.flatten(1)).bound <= 1 + 1e-8


def test_what_is_too_dear_falls_back_on_the_reshaped_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tight = conv_norm_bound(weight)
    monkeypatch.setattr(convolution, "_MOST", 1.0)
    found = prove_conv_norm(weight, plain(2))
    assert found.method == RESHAPED
    assert tight <= found.bound <= 3 * tight
    monkeypatch.undo()
    monkeypatch.setattr(convolution, "_WORK", 1.0)
    assert tight * (1 - 2e-3) <= conv_norm_bound(weight) <= 1.5 * tight
