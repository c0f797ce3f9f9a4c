"""Matrix norms: never below 60 digits of arithmetic, and near them."""

import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import pytest
import torch
from torch import Tensor

from taut.certify import linf_norm_bound, smallest_singular_value_bound, spectral_norm_bound
from taut.certify.norms.gram import gram, scale, shifted_defect
from taut.certify.norms.spectral import FROBENIUS, NEAR_ORTHOGONAL, WITNESS, ZERO, prove_spectral_norm

EXCESS = 1e-8
"""Promised tightness, relative."""


def singular_values(weight: Tensor) -> list[mpmath.mpf]:
    """Ascending, from the smaller Gram matrix in 700 + 60 digits' worth of range; independent of torch."""
    rows = [[mpmath.mpf(value) for value in row] for row in weight.double().tolist()]
    matrix = mpmath.matrix(rows if len(rows) <= len(rows[0]) else [list(column) for column in zip(*rows, strict=True)])
    squares = mpmath.eigsy(matrix * matrix.T, eigvals_only=True)
    return sorted(mpmath.sqrt(max(value, mpmath.mpf(0))) for value in squares)


@pytest.fixture(autouse=True)
def sixty_digits() -> Iterator[None]:
    with mpmath.workdps(60):
        yield


def random_matrices() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for index in range(150):
        rows, columns = (int(n) for n in torch.randint(1, 7, (2,), generator=generator))
        dtype = (torch.float64, torch.float32, torch.bfloat16, torch.float16)[index % 4]
        yield torch.randn(rows, columns, generator=generator, dtype=torch.float64).to(dtype)


def near_orthogonal_matrices() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    for index in range(60):
        size = 2 + index % 5
        factor, _ = torch.linalg.qr(torch.randn(size + index % 3, size, generator=generator, dtype=torch.float64))
        noise = torch.randn(factor.shape, generator=generator, dtype=torch.float64)
        yield (factor * 3.0 ** (index % 4) + noise * 10.0 ** -(3 + index % 14)).to(
            torch.float32 if index % 2 else torch.float64
        )


def nasty_matrices() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    outer = base[:, :1] @ base[:1]
    for factor in (1.0, 1e300, 1e-300, 2.0**-1040, 1e-40, 3.0):
        yield base * factor
        yield outer * factor
        yield torch.ones(3, 3, dtype=torch.float64) * factor
        yield torch.diag(torch.tensor([1.0, 1.0 - 2.0**-53, 0.0], dtype=torch.float64)) * factor
        yield torch.diag(torch.tensor([1.0, 1.0 + 2.0**-52], dtype=torch.float64)) * factor
    yield torch.tensor([[1e300, 1e-300], [0.0, 1e-20]], dtype=torch.float64)
    yield torch.tensor([[1.0, 1e-320], [1e-320, 1.0]], dtype=torch.float64)
    yield torch.zeros(3, 2)
    yield torch.full((2, 2), 5e-324, dtype=torch.float64)
    yield torch.full((3, 2), 6e-8, dtype=torch.float16)
    left, _ = torch.linalg.qr(base)
    for gap in (1e-16, 1e-15, 1e-12, 1e-8):  # singular values that only many digits tell apart
        right, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
        yield left @ torch.diag(torch.tensor([1.0 + gap, 1.0, 1.0 - gap], dtype=torch.float64)) @ right.T
    yield torch.full((2, 3), 1e-45, dtype=torch.float32)
    yield torch.tensor([[3e38, -3e38], [3e38, 3e38]], dtype=torch.float32)
    yield torch.tensor([[1.0, 1e8], [-1e8, 1.0]], dtype=torch.float64)
    for size in range(1, 7):
        yield torch.randint(-9, 9, (size, size), generator=generator).double() + torch.eye(size, dtype=torch.float64)
        yield torch.eye(size, dtype=torch.float64)
        yield 1.0 / (torch.arange(size)[:, None] + torch.arange(size) + 1.0).double()  # Hilbert


ALL = [*random_matrices(), *near_orthogonal_matrices(), *nasty_matrices()]


def test_bound_is_never_below_the_norm_and_within_the_promised_excess() -> None:
    for weight in ALL:
        exact, bound = singular_values(weight)[-1], spectral_norm_bound(weight)
        assert mpmath.mpf(bound) >= exact, weight
        # a bound among subnormal numbers is rounded up to a multiple of the smallest of them
        assert mpmath.mpf(bound) <= exact * (1 + EXCESS) + mpmath.mpf(2) ** -1074, weight


def test_smallest_singular_value_is_never_above_the_true_one() -> None:
    proven = 0
    for weight in ALL:
        values, bound = singular_values(weight), smallest_singular_value_bound(weight)
        assert bound >= 0.0
        assert mpmath.mpf(bound) <= values[0], weight
        if values[0] > values[-1] / 100 and values[0] > mpmath.mpf(2) ** -1000:
            proven += 1
            assert mpmath.mpf(bound) >= values[0] * (1 - 1e-4), weight
    assert proven > 100


def test_linf_norm_is_never_below_the_largest_row_sum() -> None:
    for weight in ALL:
        exact = max(sum(abs(Fraction(value)) for value in row) for row in weight.double().tolist())
        bound = Fraction(linf_norm_bound(weight))
        assert bound >= exact, weight
        assert bound <= exact * (1 + Fraction(1, 10**12)) + Fraction(2) ** -1074, weight


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_witness_does_not_trust_the_cholesky_routine(sign: int) -> None:
    """At the very edge a factor is found for matrices that are not positive: the proven defect makes up for it."""
    not_positive = 0
    for weight in random_matrices():
        if min(weight.shape) < 2:
            continue
        scaled = scale(weight.double())
        product = gram(scaled)
        eigenvalues = [value**2 for value in singular_values(scaled.values)]
        edge = eigenvalues[-1] if sign < 0 else eigenvalues[0]
        for step in range(-12, 13):
            shift = float(edge) + step * 2.0**-54 * float(eigenvalues[-1])
            defect = shifted_defect(product, shift=shift, sign=sign)
            if defect is not None:
                smallest = min(sign * (value - mpmath.mpf(shift)) for value in eigenvalues)
                not_positive += smallest < 0
                assert smallest >= -mpmath.mpf(defect), weight
    assert not_positive > 10


def test_a_plain_svd_is_no_upper_bound() -> None:
    """Why all this: the largest singular value of LAPACK lies below the true one about every other time."""
    below = 0
    for weight in random_matrices():
        below += mpmath.mpf(float(torch.linalg.svdvals(weight.double())[0])) < singular_values(weight)[-1]
    assert below > 15


@pytest.mark.parametrize(
    ("weight", "method"),
    [
        (torch.zeros(2, 3), ZERO),
        (torch.eye(3), NEAR_ORTHOGONAL),
        (torch.tensor([[3.0, 4.0]]), FROBENIUS),
        (torch.tensor([[3.0], [4.0]]), FROBENIUS),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), WITNESS),
    ],
)
def test_the_proof_says_how_it_went(weight: Tensor, method: str) -> None:
    proof = prove_spectral_norm(weight)
    assert proof.method == method
    assert (proof.bound == 0.0) == (method == ZERO)


@pytest.mark.parametrize("shape", [(300, 200), (64, 256), (1, 500)])
def test_larger_matrices_are_bracketed_by_power_iteration(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(shape, generator=generator)
    gram = weight.double() @ weight.double().T
    x = torch.randn(shape[0], generator=generator, dtype=torch.float64)
    for _ in range(3000):
        x = gram @ x
        x /= x.norm()
    from_below = math.sqrt(float(x @ gram @ x))
    assert from_below * (1 - 1e-13) <= spectral_norm_bound(weight) <= from_below * (1 + EXCESS)


def test_zero_matrices_have_norm_zero() -> None:
    weight = torch.zeros(3, 2)
    assert spectral_norm_bound(weight) == linf_norm_bound(weight) == smallest_singular_value_bound(weight) == 0.0


def test_a_norm_beyond_the_range_of_float64_is_infinite() -> None:
    assert spectral_norm_bound(torch.full((4, 4), 1.7e308, dtype=torch.float64)) == math.inf


@pytest.mark.parametrize("function", [spectral_norm_bound, smallest_singular_value_bound, linf_norm_bound])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(function, value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        function(torch.tensor([[1.0, value]]))


@pytest.mark.parametrize("function", [spectral_norm_bound, smallest_singular_value_bound, linf_norm_bound])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_matrices_are_refused(function, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one entry"):
        function(torch.zeros(shape))


def test_neither_the_weight_nor_the_random_state_is_touched() -> None:
    weight = torch.randn(5, 4, requires_grad=True)
    before, state = weight.detach().clone(), torch.get_rng_state()
    assert spectral_norm_bound(weight) == spectral_norm_bound(weight.detach())
    assert torch.equal(weight, before)
    assert torch.equal(torch.get_rng_state(), state)
