"""Cayley, exponential and Cholesky maps against independent formulas in float64."""

import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.functional import bjorck_step, cayley, cholesky_factor, exponential

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def sample(size: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 1000))
def test_cholesky_factor_is_the_qr_factor_with_positive_diagonal(size: tuple[int, int], seed: int) -> None:
    weight = sample(size, seed)
    tall = weight if size[0] > size[1] else weight.mT
    q, r = scipy.linalg.qr(tall.numpy(), mode="economic")
    expected = torch.from_numpy(q) * torch.sign(torch.from_numpy(r).diagonal())
    actual = cholesky_factor(weight)
    condition = float(torch.linalg.cond(tall))
    error = (actual if size[0] > size[1] else actual.mT) - expected
    assert float(error.abs().max()) <= 1e-14 * condition**2 + 1e-13


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10), st.integers(0, 1000))
def test_square_cayley_is_the_textbook_transform(n: int, seed: int) -> None:
    weight = sample((n, n), seed) / n
    skew = weight - weight.mT
    eye = torch.eye(n, dtype=torch.float64)
    expected = torch.linalg.inv(eye + skew) @ (eye - skew)
    assert torch.allclose(cayley(weight), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 1000))
def test_exponential_is_that_of_the_skew_matrix(size: tuple[int, int], seed: int) -> None:
    weight = sample(size, seed)
    tall = (weight if size[0] >= size[1] else weight.mT).numpy()
    m, n = tall.shape
    skew = torch.zeros(m, m, dtype=torch.float64).numpy()
    for i in range(m):
        for j in range(min(i, n)):
            skew[i, j], skew[j, i] = tall[i, j], -tall[i, j]
    expected = torch.from_numpy(scipy.linalg.expm(skew)[:, :n])
    actual = exponential(weight)
    assert torch.allclose(actual if size[0] >= size[1] else actual.mT, expected, atol=1e-12)


def test_bjorck_step_never_leaves_the_unit_ball() -> None:
    values = torch.linspace(0, 1, 101, dtype=torch.float64)
    for beta in (0.1, 0.5):
        stepped = bjorck_step(torch.diag(values), beta=beta).diagonal()
        assert bool((stepped <= 1).all())
        assert bool((stepped >= values).all())


def test_cholesky_gradient_matches_autograd_through_torch_cholesky() -> None:
    weight = sample((4, 7), 0).requires_grad_()
    cotangent = sample((4, 7), 1)
    lower = torch.linalg.cholesky(weight @ weight.mT)
    (expected,) = torch.autograd.grad(torch.linalg.solve_triangular(lower, weight, upper=False), weight, cotangent)
    (actual,) = torch.autograd.grad(cholesky_factor(weight), weight, cotangent)
    assert torch.allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7)])
def test_cayley_and_exponential_have_the_derivatives_of_their_formulas(shape: tuple[int, int]) -> None:
    weight, cotangent = (0.3 * sample(shape, 0)).requires_grad_(), sample(shape, 1)  # below the cap
    tall = weight.mT if shape[0] < shape[1] else weight
    m, n = tall.shape
    eye = torch.eye(n, dtype=torch.float64)
    a = tall[:n] - tall[:n].mT + tall[n:].mT @ tall[n:]
    transform = torch.cat(((eye - a), -2 * tall[n:])) @ torch.linalg.inv(eye + a)
    lower = torch.nn.functional.pad(tall.tril(-1), (0, m - n))
    turned = torch.linalg.matrix_exp(lower - lower.mT)[:, :n]
    for function, formula in ((cayley, transform), (exponential, turned)):
        value = formula.mT if shape[0] < shape[1] else formula
        assert torch.allclose(function(weight), value, atol=1e-12)
        (expected,) = torch.autograd.grad(value, weight, cotangent, retain_graph=True)
        (found,) = torch.autograd.grad(function(weight), weight, cotangent)
        assert torch.allclose(found, expected, atol=1e-11)
