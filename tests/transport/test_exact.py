"""Exact transport against scipy's own solvers, its potentials against their definition, its standard error."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from torch import Tensor

from taut.transport import exact, exact_transport

EPS = torch.finfo(torch.float64).eps


def draw(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (5, 12), (40, 33)])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_dimension_is_the_integral_between_the_distribution_functions(n: int, m: int, weighted: bool) -> None:
    x, y = draw(n + m, (n, 1), (m, 1))
    y = (2 * y).round() / 2  # ties, also between samples of the same side
    a, b = (torch.rand(k, generator=torch.Generator().manual_seed(k)).double() if weighted else None for k in (n, m))
    found = exact_transport(x, y, x_weights=a, y_weights=b)
    weights = [None if w is None else w.numpy() for w in (a, b)]
    assert found.value == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0], *weights), abs=100 * EPS)
    check_potentials(found, x, y, a, b)


@pytest.mark.parametrize("shape", [(2,), (5,), (1, 3, 2)])
def test_equal_sizes_are_an_assignment(shape: tuple[int, ...]) -> None:
    x, y = draw(3, (30, *shape), (30, *shape))
    found = exact_transport(x, y)
    cost = cdist(x.flatten(1), y.flatten(1))
    assert found.value == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=100 * EPS)
    check_potentials(found, x, y, None, None)


def test_unequal_sizes_and_weights_are_a_linear_program() -> None:
    x, y = draw(4, (7, 2), (5, 2))
    a, b = torch.arange(7.0), torch.tensor([1.0, 2.0, 1.0, 0.5, 3.0])
    found = exact_transport(x, y, x_weights=a, y_weights=b)
    rows = [np.kron(np.eye(7), np.ones((1, 5))), np.kron(np.ones((1, 7)), np.eye(5))]
    masses = np.concatenate([a / a.sum(), b / b.sum()]).astype(float)
    solved = linprog(cdist(x, y).ravel(), A_eq=np.vstack(rows), b_eq=masses)
    assert found.value == pytest.approx(solved.fun, rel=1e-6)  # of linprog


def check_potentials(found, x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None) -> None:
    """They attain the value, and belong to one 1-Lipschitz function on all points."""
    a, b = (torch.ones(len(z)) if w is None else w for z, w in ((x, a), (y, b)))
    reached = (a * found.x_potentials).sum() / a.sum() - (b * found.y_potentials).sum() / b.sum()
    # the weights of one sample sum to 1 up to rounding in float32
    assert float(reached) == pytest.approx(found.value, abs=1e-6)
    points = torch.cat([x, y]).flatten(1).numpy()
    values = torch.cat([found.x_potentials, found.y_potentials]).numpy()
    excess = np.abs(values[:, None] - values) - cdist(points, points)
    assert excess.max() <= 1000 * EPS


@pytest.mark.parametrize("dimension", [1, 3])
@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e6), (1e200, 0.0), (1e-200, 0.0)])
def test_scale_and_offset_cost_no_digits(dimension: int, scale: float, offset: float) -> None:
    x, y = ((1024 * z).round() / 1024 for z in draw(5, (20, dimension), (15, dimension)))  # so that offsets are exact
    plain = exact_transport(x, y)
    moved = exact_transport(scale * x + offset, scale * y + offset)
    assert moved.value == pytest.approx(scale * plain.value, rel=1e-9)
    assert moved.standard_error == pytest.approx(scale * plain.standard_error, rel=1e-6)


def test_short_moves_of_far_points_keep_their_digits() -> None:
    (x,) = draw(11, (12, 3))
    assert exact_transport(x, x + 2.0**-40).value == pytest.approx(3**0.5 * 2.0**-40, rel=1e-3)


def test_far_samples_have_the_standard_error_of_a_difference_of_means() -> None:
    x, y = draw(6, (30, 1), (20, 1))
    for tail in ([], [0.0]):  # sorted, and solved: a second coordinate that is always 0
        u, v = (torch.cat([z, z.new_tensor(tail).expand(len(z), len(tail))], dim=1) for z in (x, y + 100.0))
        found = exact_transport(u, v)
        assert found.value == pytest.approx(float((y + 100.0).mean() - x.mean()), rel=1e-12)
        assert found.standard_error == pytest.approx(math.sqrt(float(x.var() / 30 + y.var() / 20)), rel=1e-9)


def test_a_sample_has_no_distance_from_itself_and_no_spread() -> None:
    (x,) = draw(7, (25, 2))
    for z in (x, x[:, :1]):
        found = exact_transport(z, z[torch.randperm(25)])
        assert found.value <= 100 * EPS
        assert found.standard_error <= 100 * EPS


def test_points_without_mass_are_no_hole_in_the_potential() -> None:
    x, y = draw(14, (9, 2), (8, 2))
    a, b = torch.ones(9), torch.ones(8)
    a[:3], b[2:4] = 0.0, 0.0
    y[2] = x[0]  # one point without mass on both sides has one value
    for first, second in ((a, torch.ones(8)), (torch.ones(9), b), (a, b)):
        check_potentials(exact_transport(x, y, x_weights=first, y_weights=second), x, y, first, second)


def test_too_many_pairs_are_refused_where_they_would_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "LARGEST", 100)
    x, y = draw(8, (11, 2), (10, 2))
    with pytest.raises(ValueError, match=r"11 onto 10 samples needs 1.1e\+02 distances.* such as 10 of each"):
        exact_transport(x, y)
    exact_transport(x[:10], y)
    exact_transport(x[:, :1], y[:, :1])


@pytest.mark.filterwarnings("ignore:numItermax")
def test_a_solver_that_gives_up_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_ITERATIONS", 1)
    with pytest.raises(RuntimeError, match="found no optimum"):
        exact_transport(*draw(9, (30, 2), (30, 2)))


@pytest.mark.parametrize(
    ("x", "y", "options", "reason"),
    [
        (torch.zeros(0, 2), torch.zeros(1, 2), {}, "x has no samples"),
        (torch.zeros(1, 2), torch.zeros(1, 3), {}, "one shape, got 2 and 3 entries"),
        (torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [math.nan, 0.0]]), {}, "y must be finite, but sample 1"),
        (torch.zeros(2, 2), torch.zeros(1, 2), {"x_weights": torch.tensor([1.0, -1.0])}, "weights of x"),
        (torch.zeros(1, 2), torch.zeros(1, 2), {"y_weights": torch.zeros(1)}, "weights of y"),
        (torch.zeros(1, 2, dtype=torch.complex64), torch.zeros(1, 2), {}, "x must be real"),
    ],
)
def test_what_has_no_distance_is_refused(x: Tensor, y: Tensor, options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exact_transport(x, y, **options)


def test_without_pot_only_one_dimension_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    x, y = draw(10, (3, 2), (3, 2))
    exact_transport(x[:, :1], y[:, :1])
    with pytest.raises(ImportError, match=r"needs POT: pip install 'taut\[transport\]'"):
        exact_transport(x, y)
