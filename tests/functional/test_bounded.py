"""Gram iteration, almost-orthogonal scaling, unit rows and l1 projection against float64 oracles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.functional import almost_orthogonal, gram_norm, project_rows_l1, scale_rows_l1, spectral_normalize, unit_rows

EPS = torch.finfo(torch.float64).eps
MATRICES = st.tuples(st.integers(1, 15), st.integers(1, 15), st.integers(0, 10_000), st.integers(-25, 25))


def sample(case: tuple[int, int, int, int]) -> torch.Tensor:
    m, n, seed, exponent = case
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 10.0**exponent


@settings(max_examples=60, deadline=None)
@given(MATRICES, st.integers(1, 10))
def test_gram_norm_is_above_the_norm_and_as_close_as_it_says(case: tuple[int, int, int, int], iterations: int) -> None:
    weight = sample(case)
    norm = float(torch.linalg.matrix_norm(weight, ord=2))
    bound = float(gram_norm(weight, iterations=iterations))
    assert norm <= bound
    assert bound <= norm * min(case[:2]) ** (2.0 ** -(iterations + 1)) * (1 + 400 * EPS)


def test_gram_norm_is_above_the_norm_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (1, 3, 50, 200):
        weight = torch.randn(n, n, generator=generator)
        for matrix in (weight, torch.linalg.qr(weight)[0], torch.ones(n, n)):
            assert float(gram_norm(matrix)) >= float(torch.linalg.matrix_norm(matrix.double(), ord=2))


@settings(max_examples=60, deadline=None)
@given(MATRICES, st.integers(1, 4))
def test_normalised_weights_have_norm_at_most_one(case: tuple[int, int, int, int], t: int) -> None:
    for dtype in (torch.float32, torch.float64):
        weight = sample(case).to(dtype)
        for result in (spectral_normalize(weight), almost_orthogonal(weight, t=t)):
            assert float(torch.linalg.matrix_norm(result.double(), ord=2)) <= 1 + 64 * EPS


def test_almost_orthogonal_is_tighter_for_larger_t() -> None:
    weight = sample((10, 10, 0, 0))
    norms = [float(torch.linalg.matrix_norm(almost_orthogonal(weight, t=t), ord=2)) for t in (1, 2, 4, 6)]
    assert norms == sorted(norms)
    assert norms[-1] > 0.97


def test_unit_rows_have_norm_one() -> None:
    rows = torch.linalg.vector_norm(unit_rows(sample((7, 5, 0, 20))), dim=1)
    assert float((rows - 1).abs().max()) <= 4 * EPS


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([0.3, 1.0, 4.0]))
def test_projection_is_the_nearest_point_of_the_ball(n: int, seed: int, scale: float) -> None:
    row = scale * torch.randn(1, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    projected = project_rows_l1(row)
    # p is nearest exactly if no vertex v of the ball lies ahead: <row - p, v - p> <= 0 for all v = +-e_i
    residual = row - projected
    ahead = float(residual.abs().amax() - (residual * projected).sum())
    assert ahead <= 64 * EPS * (1 + float(row.abs().sum()))
    assert float(projected.abs().sum()) <= 1 + 16 * EPS


def test_rows_inside_the_ball_are_untouched() -> None:
    inside = sample((5, 4, 0, -2))
    assert torch.equal(project_rows_l1(inside), inside)
    assert torch.equal(scale_rows_l1(inside), inside)


@pytest.mark.parametrize(
    "call", [gram_norm, spectral_normalize, almost_orthogonal, unit_rows, project_rows_l1, scale_rows_l1]
)
def test_zero_is_not_a_problem(call) -> None:
    weight = torch.zeros(3, 4, requires_grad=True)
    call(weight).sum().backward()
    assert bool(weight.grad.isfinite().all())


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda w: gram_norm(w, iterations=0), "0"),
        (lambda w: almost_orthogonal(w, t=-1), "-1"),
        (lambda w: project_rows_l1(w, radius=0.0), "0.0"),
        (lambda w: scale_rows_l1(w, radius=-2.0), "-2.0"),
    ],
)
def test_bad_options_are_refused_by_value(call, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        call(torch.eye(2))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (1, 5), (540, 520)])
@pytest.mark.parametrize("iterations", [1, 3, 8])
def test_the_derivative_of_gram_norm_is_that_of_the_power_mean_of_singular_values(
    shape: tuple[int, int], iterations: int
) -> None:
    weight = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    u, sigma, vh = torch.linalg.svd(weight.detach(), full_matrices=False)
    power = 2 ** (iterations + 1)
    share = (sigma / sigma[0]) ** power
    expected = (u * ((sigma / sigma[0]) ** (power - 1) * share.sum() ** (1 / power - 1))) @ vh
    (found,) = torch.autograd.grad(gram_norm(weight, iterations=iterations), weight)
    assert torch.allclose(found, expected, atol=1e5 * EPS, rtol=1e5 * EPS)
    single = weight.detach().float().requires_grad_()
    (found,) = torch.autograd.grad(gram_norm(single, iterations=iterations), single)
    assert torch.allclose(found.double(), expected, atol=2e-4)


def test_gram_norm_can_be_differentiated_twice_and_for_many_matrices_at_once() -> None:
    weight = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda w: gram_norm(w, iterations=3), weight)
    many = torch.randn(5, 4, 3, dtype=torch.float64).requires_grad_()
    (together,) = torch.autograd.grad(torch.vmap(gram_norm)(many).sum(), many)
    for one, gradient in zip(many, together, strict=True):
        assert torch.allclose(gradient, torch.autograd.grad(gram_norm(one), one)[0], atol=100 * EPS)
