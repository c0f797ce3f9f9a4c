"""The polar factor: what it promises, measured in float64 against an SVD, and against 50 digits."""

import math
from collections.abc import Callable
from functools import partial

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from taut.functional import cholesky_factor, polar_factor, qr_factor, stiefel_retract
from taut.functional.newton_schulz import minimax_quintic, minimax_schedule
from taut.functional.polar import PolarMethod

METHODS = ("eigh", "newton_schulz")
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}


def svd_factor(weight: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(weight.double(), full_matrices=False)
    return u @ vh


def distance_from_orthogonal(factor: Tensor) -> float:
    return float((torch.linalg.svdvals(factor.double()) - 1).abs().max())


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    exponent=st.integers(-30, 30),
    log_condition=st.floats(0, 12),
    double=st.booleans(),
    seed=st.integers(0, 2**31),
)
@example(rows=4, columns=5, exponent=1, log_condition=5.0, double=True, seed=0)
@example(rows=20, columns=20, exponent=0, log_condition=2.9, double=True, seed=1)
def test_is_orthogonal_for_any_shape_scale_and_condition(
    method: str, rows: int, columns: int, exponent: int, log_condition: float, double: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    k = min(rows, columns)
    u, _ = torch.linalg.qr(torch.randn(rows, k, generator=generator, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(columns, k, generator=generator, dtype=torch.float64))
    values = torch.logspace(0, -log_condition, k, dtype=torch.float64) * 10.0**exponent
    weight = ((u * values) @ v.mT).to(torch.float64 if double else torch.float32)
    factor = polar_factor(weight, method=method)
    assert distance_from_orthogonal(factor) <= TOLERANCE[weight.dtype] + 16 * torch.finfo(torch.float64).eps
    # the factor moves by at most 2 |perturbation| / smallest singular value, and rounding perturbs by eps * condition
    allowed = 50 * torch.finfo(weight.dtype).eps * max(rows, columns) * 10**log_condition
    if allowed < 0.1:
        assert float((factor.double() - svd_factor(weight)).abs().max()) <= allowed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [64, 300])
def test_is_orthogonal_at_larger_sizes(method: str, size: int) -> None:
    torch.manual_seed(size)
    for weight in (
        torch.randn(size, size),
        torch.randn(2 * size, size),
        torch.nn.init.orthogonal_(torch.empty(size, size)),
    ):
        assert distance_from_orthogonal(polar_factor(weight, method=method)) <= TOLERANCE[torch.float32]


def test_agrees_with_fifty_digits() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 3, dtype=torch.float64)
    with mpmath.workdps(50):
        u, _, vh = mpmath.svd_r(mpmath.matrix(weight.tolist()))
        exact = u * vh
        error = max(abs(exact[i, j] - float(polar_factor(weight)[i, j])) for i in range(4) for j in range(3))
    assert error < 1e-15


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (3, 6), (1, 4), (4, 1), (2, 5, 3)])
def test_gradient_is_exact(method: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: polar_factor(w, method=method), weight)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("condition", [1.5, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("shape", [(64, 64), (96, 48)])
def test_float32_gradient_matches_a_float64_svd(method: str, condition: float, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(shape[0], shape[1], dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(shape[1], shape[1], dtype=torch.float64))
    weight = (u * torch.linspace(1, 1 / condition, shape[1], dtype=torch.float64)) @ v.mT
    cotangent = torch.randn(shape, dtype=torch.float64)
    exact = weight.clone().requires_grad_()
    # an oracle of another kind: reverse mode through twenty Björck steps in float64, started from the weight itself
    iterate = exact
    for _ in range(int(20 + 4 * math.log2(condition))):
        iterate = 1.5 * iterate - 0.5 * iterate @ (iterate.mT @ iterate)
    (expected,) = torch.autograd.grad(iterate, exact, cotangent)
    single = weight.float().requires_grad_()
    (actual,) = torch.autograd.grad(polar_factor(single, method=method), single, cotangent.float())
    error = torch.linalg.matrix_norm(actual.double() - expected) / torch.linalg.matrix_norm(expected)
    assert float(error) < 100 * torch.finfo(torch.float32).eps * condition + 2e-6


def test_methods_agree_and_unknown_ones_are_refused() -> None:
    torch.manual_seed(0)
    weight = torch.randn(30, 20)
    first, second = (polar_factor(weight, method=m) for m in METHODS)
    assert torch.allclose(first, second, atol=1e-5)
    with pytest.raises((ValueError, TypeError), match="'svd'"):
        polar_factor(weight, method="svd")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_gradient_is_finite_at_rank_deficient_weights(method: str) -> None:
    for weight in (torch.zeros(4, 4), torch.ones(5, 3), torch.eye(4)[:, [0, 0, 1]]):
        weight.requires_grad_()
        polar_factor(weight, method=method).sum().backward()
        assert weight.grad is not None
        assert bool(weight.grad.isfinite().all())


@pytest.mark.parametrize("method", METHODS)
def test_nan_and_infinity_are_visible(method: str) -> None:
    for bad in (math.nan, math.inf):
        weight = torch.randn(4, 3)
        weight[1, 1] = bad
        assert bool(polar_factor(weight, method=method).isnan().all())


@pytest.mark.parametrize("method", METHODS)
def test_autocast_and_reduced_matmul_precision_are_ignored(method: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 40)
    expected = polar_factor(weight, method=method)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(polar_factor(weight, method=method), expected)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(polar_factor(weight, method=method), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_half_precision_is_the_rounded_float32_factor() -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 8)
    half = weight.bfloat16()
    assert torch.equal(polar_factor(half), polar_factor(half.float()).bfloat16())


def test_a_second_derivative_is_refused_not_wrong() -> None:
    weight = torch.randn(3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(polar_factor(weight).sin().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError):
        gradient.sum().backward()


def test_minimax_quintic_equioscillates() -> None:
    grid = torch.linspace(0.05, 1, 20001, dtype=torch.float64)
    a, b, c = minimax_quintic(0.05, 1.0)
    error = grid * (a + b * grid**2 + c * grid**4) - 1
    extremes = [error[0], *(e for e in (error.max(), error.min())), error[-1]]
    level = float(error.abs().max())
    assert all(abs(abs(float(e)) - level) < 1e-6 for e in extremes)


def test_schedule_brings_every_singular_value_to_one() -> None:
    values = torch.logspace(-3, 0, 1001, dtype=torch.float64)
    for a, b, c in minimax_schedule(1e-3, 2.0**-23):
        values = values * (a + b * values**2 + c * values**4)
    assert float((values - 1).abs().max()) < 2.0**-11


@pytest.mark.parametrize("size", [(24, 24), (40, 24), (24, 40)])
def test_products_alone_wait_for_the_device_twice(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(name: str) -> Callable[..., object]:
        original = getattr(torch.Tensor, name)
        return lambda *arguments: asked.append(name) or original(*arguments)

    asked: list[str] = []
    weight = (torch.nn.init.orthogonal_(torch.empty(size)) + 0.3 * torch.randn(size) / size[1] ** 0.5).requires_grad_()
    cotangent = torch.randn(size)
    for name in ("item", "tolist", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    factor = polar_factor(weight, method="newton_schulz")
    assert len(asked) == 1  # whether it converged
    torch.autograd.grad(factor, weight, cotangent)
    assert len(asked) == 2  # the same of the derivative


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_numbers_there_are_have_their_factor(method: PolarMethod, dtype: torch.dtype) -> None:
    weight = torch.tensor([[1.0, -1.0], [1.0, 0.25]], dtype=dtype) * torch.finfo(dtype).max
    expected = svd_factor(weight.double() / torch.finfo(dtype).max)
    for function in (partial(polar_factor, method=method), stiefel_retract):
        assert torch.allclose(function(weight).double(), expected, atol=TOLERANCE[dtype])
    # Gram-Schmidt of the rows, from the first: it has no turn where they are scaled alike
    rows = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) / 2**0.5
    for function in (cholesky_factor, qr_factor):
        assert torch.allclose(function(weight).double(), rows, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e-24, 1e-10, 1e30])
def test_the_derivative_by_products_is_linear_at_any_size(size: float) -> None:
    weight, cotangent = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    exact, found = (
        torch.autograd.grad(polar_factor(weight, method=method), weight, cotangent * size)[0] for method in METHODS
    )
    tolerance = 1e-4 if size > 1e-38 else 1e-2  # of subnormal numbers
    assert float((exact - found).abs().max()) <= tolerance * float(exact.abs().max())
