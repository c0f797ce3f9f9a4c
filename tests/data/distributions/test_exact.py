"""Distances that are known exactly: against other formulas, 1-Lipschitz functions that attain them, and transport."""

import itertools
import math

import mpmath
import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from taut.data.distributions import (
    Distribution,
    Empirical,
    Function,
    Gaussian,
    Mixture,
    Points,
    Shells,
    UniformCube,
    exact_wasserstein1,
    true_potential,
)

CENTRES = [[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]
EMBEDDED = [[-2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
TILTED = [[2.0, 1.0], [1.0, 3.0]]


def chi_mean(dimension: int, std: float = 1.0) -> float:
    return std * float(stats.chi(dimension).mean())


def normal_distance(shift: float, dimension: int) -> float:
    """E|X + shift e| for X standard normal, by the confluent hypergeometric function."""
    return chi_mean(dimension) * float(mpmath.hyp1f1(-0.5, dimension / 2, -(shift**2) / 2))


def shell_distance(offset: float, radius: float, dimension: int, height: float = 0.0) -> float:
    """The mean distance of a sphere from a point at `offset` of its centre and `height` off its space."""
    squares = offset**2 + radius**2 + height**2
    value = mpmath.quad(
        lambda t: mpmath.sqrt(squares + 2 * offset * radius * mpmath.cos(t)) * mpmath.sin(t) ** (dimension - 2),
        [0, 2, mpmath.pi],
    )
    return float(value / mpmath.quad(lambda t: mpmath.sin(t) ** (dimension - 2), [0, 2, mpmath.pi]))


def tilted_distance() -> float:
    """E|X + (1, 2)| for X normal of covariance TILTED, in polar coordinates about the point."""
    law = stats.multivariate_normal([1.0, 2.0], TILTED)

    def ring(r: float) -> float:
        angles = np.linspace(0.0, 2.0 * np.pi, 200, endpoint=False)
        places = r * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return r**2 * float(law.pdf(places).mean()) * 2.0 * np.pi

    return integrate.quad(ring, 0.0, 25.0, epsabs=1e-12, epsrel=1e-12, limit=300)[0]


TURNED = stats.ortho_group(3, seed=1).rvs()
WIDTHS = np.array([2.0, 1.0, 0.3])


def turned_distance(offset: list[float]) -> float:
    """E|X + offset| for X normal of the standard deviations WIDTHS along the columns of TURNED, by Gauss and Hermite;
    good where the offset is large, so that the norm is smooth where X is."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    grids = np.meshgrid(*(width * nodes for width in WIDTHS), indexing="ij")
    along = TURNED.T @ np.array(offset)
    lengths = np.sqrt(sum((grid + shift) ** 2 for grid, shift in zip(grids, along, strict=True)))
    return float(np.einsum("ijk,i,j,k", lengths, weights, weights, weights)) / (2 * np.pi) ** 1.5


SLOPE = float(stats.norm.cdf(0.9) - stats.norm.cdf(0.3)) / 0.6
LOW = 0.3 - float(stats.norm.cdf(0.3)) / SLOPE


def meeting_twice() -> float:
    """int |F - G| of the standard normal law and the interval of density SLOPE from LOW on: F = G at 0.3 and at 0.9."""

    def difference(x: float) -> float:
        return abs(float(stats.norm.cdf(x)) - min(max((x - LOW) * SLOPE, 0.0), 1.0))

    edges = sorted([-12.0, -4.0, LOW, -1.2, -0.6, 0.0, 0.3, 0.9, LOW + 1 / SLOPE, 4.0, 12.0])
    return sum(integrate.quad(difference, *pair, limit=200)[0] for pair in itertools.pairwise(edges))


def radial(first, second) -> float:
    """int |F - G| over r >= 0."""
    value = integrate.quad(lambda r: abs(first(r) - second(r)), 0.0, 30.0, points=(1.0, 2.0, 3.0), limit=400)
    return value[0]


KNOWN: dict[str, tuple[Distribution, Distribution, float]] = {
    # One law is shifted.
    "gaussians shifted": (Gaussian([0, 0], std=[1, 3]), Gaussian([3, 4], std=[1, 3]), 5.0),
    "covariances shifted": (Gaussian([0, 0], covariance=TILTED), Gaussian([3, 4], covariance=TILTED), 5.0),
    "cubes shifted": (UniformCube([0, 0], [1, 2]), UniformCube([0.3, -0.4], [1.3, 1.6]), 0.5),
    "points shifted and shuffled": (Points([[0, 0], [1, 5], [7, 0.1]]), Points([[10, 0.1], [3, 0], [4, 5]]), 3.0),
    "shells shifted": (Shells(CENTRES, radius=3), Shells([[-2, 1], [0, 1], [2, 1]], radius=3), 1.0),
    "mixtures shifted": (
        Mixture([Gaussian([0, 0]), UniformCube([0, 0], [1, 1])], weights=[1, 3]),
        Mixture([UniformCube([2, 0], [3, 1]), Gaussian([2, 0])], weights=[3, 1]),
        2.0,
    ),
    "pictures": (Gaussian(torch.zeros(1, 2, 2)), Gaussian(torch.ones(1, 2, 2)), 2.0),
    # One is a point.
    "points": (Points([[0.0, 0.0]]), Points([[3.0, 4.0]]), 5.0),
    "absolute value": (Points([[0.0]]), Shells([[0.0]], radius=1), 1.0),
    "point and weighted points": (Points([[1, 0]]), Points([[0, 0], [4, 0]], weights=[1, 3]), 2.5),
    "high-dimensional cone": (Points([[0.0] * 128]), Shells([[0.0] * 128], radius=1), 1.0),
    "point and Gaussian": (Gaussian([0] * 7, std=2), Points([[0.0] * 7]), chi_mean(7, 2.0)),
    "point and Gaussian elsewhere": (Points([[3.0, 0, 0]]), Gaussian([0, 0, 0]), normal_distance(3.0, 3)),
    "point and tilted Gaussian": (Points([[-1, -2]]), Gaussian([0, 0], covariance=TILTED), tilted_distance()),
    "point and turned Gaussian": (
        Points([[-9, 5, -7]]),
        Gaussian([0, 0, 0], covariance=TURNED @ np.diag(WIDTHS**2) @ TURNED.T),
        turned_distance([9, -5, 7]),
    ),
    "point and shell about elsewhere": (Points([[2.0, 0]]), Shells([[0, 0]], radius=1), shell_distance(2, 1, 2)),
    "point on a circle": (Points([[1.0, 0]]), Shells([[0, 0]], radius=1), 4 / math.pi),
    "point in a shell of four dimensions": (
        Points([[0.5, 0, 0, 0]]),
        Shells([[0, 0, 0, 0]], radius=2),
        shell_distance(0.5, 2, 4),
    ),
    "point off the space of a shell": (
        Points([[1, 0, 0, 2]]),
        Shells([[0, 0, 0]], radius=1.5, empty_dimensions=1),
        shell_distance(1, 1.5, 3, 2),
    ),
    "corner of a square": (Points([[0, 0]]), UniformCube([0, 0], [1, 1]), (2**0.5 + math.asinh(1)) / 3),
    "corner of a cube": (
        UniformCube([1, 1, 1], [2, 2, 2]),
        Points([[1, 1, 1]]),
        3**0.5 / 4 + math.log(2 + 3**0.5) / 2 - math.pi / 24,
    ),
    "point far from a thin box": (
        Points([[1e3, 0]]),
        UniformCube([0, 0], [1e-3, 1e-3]),
        1e3 - 5e-4 + (1e-6 / 3) / 2e3,
    ),
    # One is dilated.
    "gaussians of two sizes": (Gaussian([0] * 5, std=3), Gaussian([0] * 5), 2 * chi_mean(5)),
    "gaussians of two sizes apart": (Gaussian([0, 0, 0]), Gaussian([3, 0, 0], std=2), normal_distance(3.0, 3)),
    "covariances of two sizes": (
        Gaussian([0, 0], covariance=TILTED),
        Gaussian([1, 2], covariance=4 * np.array(TILTED)),
        tilted_distance(),
    ),
    "squares of two sizes": (
        UniformCube([0, 0], [2, 2]),
        UniformCube([0, 0], [1, 1]),
        (2**0.5 + math.asinh(1)) / 3,
    ),
    # Spheres that are far enough from each other.
    "three cones": (Points(CENTRES), Shells(CENTRES, radius=1), 1.0),
    "three cones, shuffled": (Shells(CENTRES, radius=0.5), Points(CENTRES[::-1]), 0.5),
    "three cones, embedded": (Points(EMBEDDED), Shells(CENTRES, radius=1, empty_dimensions=1), 1.0),
    "three pairs of spheres": (Shells(CENTRES, radius=1), Shells(CENTRES, radius=0.25), 0.75),
    # Rotations leave both alone.
    "Gaussian and shell": (
        Gaussian([1, 1, 1, 1]),
        Shells([[1, 1, 1, 1]], radius=2),
        radial(stats.chi(4).cdf, lambda r: float(r >= 2)),
    ),
    "shells of two radii and Gaussian": (
        Mixture([Shells([[0, 0]], radius=1), Shells([[0, 0]], radius=3), Points([[0, 0]])]),
        Gaussian([0, 0], std=1.5),
        radial(lambda r: (1 + (r >= 1) + (r >= 3)) / 3, lambda r: stats.chi(2).cdf(r / 1.5)),
    ),
    "mixture of Gaussians about a centre": (
        Mixture([Gaussian([0] * 6), Gaussian([0] * 6, std=2)]),
        Gaussian([0] * 6, std=1.5),
        radial(
            lambda r: (stats.chi(6).cdf(r) + stats.chi(6).cdf(r / 2)) / 2,
            lambda r: stats.chi(6).cdf(r / 1.5),
        ),
    ),
    # One dimension.
    "intervals": (UniformCube(0, 1), UniformCube(0.5, 2.5), 1.0),
    "point and interval": (Points([[0.25]]), UniformCube(0, 1), (0.25**2 + 0.75**2) / 2),
    "Gaussian and two points": (
        Gaussian(0),
        Points([[-1], [1]]),
        radial(stats.chi(1).cdf, lambda r: float(r >= 1)),
    ),
    "Gaussian and interval that meet twice": (Gaussian(0), UniformCube(LOW, LOW + 1 / SLOPE), meeting_twice()),
    "Gaussian and interval": (Gaussian(0), UniformCube(-2, 2), radial(stats.chi(1).cdf, lambda r: min(r / 2, 1))),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_distance_is_that_of_another_formula(name: str) -> None:
    p, q, expected = KNOWN[name]
    for found in (exact_wasserstein1(p, q), exact_wasserstein1(q, p)):
        assert found == pytest.approx(expected, rel=2e-8, abs=1e-9)  # what scipy's quadrature of a kink gives


@pytest.mark.parametrize("name", KNOWN)
def test_the_potential_attains_the_distance_and_transport_is_not_cheaper(name: str) -> None:
    p, q, expected = KNOWN[name]
    generator = torch.Generator().manual_seed(0)
    x, y = p.sample(4000, generator).double(), q.sample(4000, generator).double()
    for first, second, left, right in ((p, q, x, y), (q, p, y, x)):
        f = true_potential(first, second)
        assert f is not None
        gain = f(left).mean() - f(right).mean()
        error = math.sqrt((f(left).var() + f(right).var()) / 4000)
        assert float(gain) == pytest.approx(expected, abs=4.5 * error + 1e-5 * expected)  # samples are float32
        both = torch.cat([left, right, 3 * torch.randn(500, *p.shape, generator=generator)])
        other = both[torch.randperm(len(both), generator=generator)]
        far = (both - other).flatten(1).norm(dim=1)
        assert bool(((f(both) - f(other)).abs() <= far * (1 + 1e-9) + 1e-12).all())
    cost = torch.cdist(x[:200].flatten(1), y[:200].flatten(1)).numpy()
    transport = ot.emd2([], [], cost)  # E of it is never below the distance
    assert transport >= expected - 4.5 * float(np.std(cost)) / math.sqrt(200) - 1e-5 * expected


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (Points(CENTRES), Shells(CENTRES, radius=1.01)),
        (Points(CENTRES[:2]), Shells(CENTRES, radius=1)),
        (Points(CENTRES, weights=[1, 1, 2]), Shells(CENTRES, radius=1)),
        (Points(CENTRES), Points([[-2, 0], [0, 0.1], [2, 0]])),
        (Points([[0, 0], [1, 0]]), Points([[0, 0], [1, 0]], weights=[1, 2])),
        # The same mean and variance, but other weights.
        (Points([[x, 0] for x in range(4)]), Points([[x, 0] for x in range(4)], weights=[2.1, 1.7, 2.3, 1.9])),
        (Gaussian([0, 0]), Gaussian([0, 0], std=[1, 2])),
        (Gaussian([0, 0], covariance=TILTED), Gaussian([0, 0], covariance=[[2, 1], [1, 4]])),
        (Gaussian([0, 0]), Shells([[0, 1e-6]], radius=1)),
        (Gaussian([0, 0, 0]), Shells([[0, 0]], radius=1, empty_dimensions=1)),
        (Shells([[0, 0, 0]], radius=2), Shells([[0, 0]], radius=1, empty_dimensions=1)),
        (Shells(EMBEDDED, radius=0.5), Shells(CENTRES, radius=1, empty_dimensions=1)),
        (UniformCube([0, 0], [1, 1]), UniformCube([0, 0], [1, 2])),
        (UniformCube([0, 0], [1, 1]), Gaussian([0, 0])),
        (Empirical(torch.zeros(3, 1)), Points([[0.0]])),
        (Function(lambda count, generator: torch.zeros(count, 1)), Points([[0.0]])),
        (Mixture([Points([[0.0]]), Empirical(torch.zeros(3, 1))]), Points([[0.0]])),
    ],
)
def test_what_is_not_known_is_not_guessed(p: Distribution, q: Distribution) -> None:
    assert exact_wasserstein1(p, q) is None
    assert exact_wasserstein1(q, p) is None
    assert true_potential(p, q) is None


def test_laws_of_different_shapes_have_no_distance() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(1, 2\)"):
        exact_wasserstein1(Gaussian([0, 0]), Gaussian([[0, 0]]))


def test_a_law_is_at_no_distance_from_itself_however_it_is_written() -> None:
    pairs = [
        (Points([[0, 1], [2, 3], [0, 1]]), Points([[2, 3], [0, 1]], weights=[2, 4])),
        (Mixture([Gaussian([0, 0]), Gaussian([9, 9])], weights=[1, 0]), Gaussian([0, 0], covariance=np.eye(2))),
        (Mixture([Points([[0.0]]), Points([[1.0]])], weights=[1, 3]), Points([[0], [1]], weights=[0.25, 0.75])),
        (Shells([[0.0]], radius=1), Points([[-1], [1]])),
    ]
    for p, q in pairs:
        assert exact_wasserstein1(p, q) == pytest.approx(0.0, abs=1e-12)


numbers = st.floats(-10, 10).map(lambda number: round(number, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, st.integers(1, 5)), min_size=1, max_size=6), st.data())
def test_weighted_points_on_the_line(p, data) -> None:
    q = data.draw(st.lists(st.tuples(numbers, st.integers(1, 5)), min_size=1, max_size=6))
    (x, u), (y, v) = zip(*p, strict=True), zip(*q, strict=True)
    found = exact_wasserstein1(
        Points([[place] for place in x], weights=list(u)), Points([[place] for place in y], weights=list(v))
    )
    assert found == pytest.approx(stats.wasserstein_distance(x, y, u, v), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=6, unique=True),
    st.one_of(st.just(0.0), st.floats(0.01, 4)),
    st.tuples(numbers, numbers, numbers),
    st.randoms(use_true_random=False),
)
def test_a_dilated_set_of_points_is_as_far_as_transport_says(rows, factor, shift, random) -> None:
    image = [[factor * x + b for x, b in zip(row, shift, strict=True)] for row in rows]
    cost = np.linalg.norm(np.array(rows)[:, None] - np.array(image)[None], axis=2)
    random.shuffle(image)
    found = exact_wasserstein1(Points(rows), Points(image))
    assert found == pytest.approx(ot.emd2([], [], cost), rel=1e-9, abs=1e-9)


lines = st.one_of(
    numbers.map(lambda place: ("point", place, 0.0)),
    st.tuples(st.just("normal"), numbers, st.floats(0.1, 5)),
    st.tuples(st.just("interval"), numbers, st.floats(0.1, 5)),
    st.tuples(st.just("shell"), numbers, st.floats(0.1, 5)),
)


def made(kind: str, place: float, width: float) -> tuple[Distribution, stats.rv_continuous | None, list[float]]:
    """A law, its distribution function, and where that jumps or has a kink."""
    if kind == "normal":
        return Gaussian(place, std=width), stats.norm(place, width).cdf, [place]
    if kind == "interval":
        edges = [place, place + width]
        return UniformCube(place, place + width), stats.uniform(place, width).cdf, edges
    places = [place - width, place + width] if kind == "shell" else [place]
    law = Shells([[place]], radius=width) if kind == "shell" else Points([[place]])
    return law, lambda x: np.mean([x >= place for place in places], axis=0), places


@settings(max_examples=25, deadline=None)
@given(st.lists(lines, min_size=1, max_size=3), st.lists(lines, min_size=1, max_size=3))
def test_mixtures_on_the_line_against_the_quadrature_of_distribution_functions(first, second) -> None:
    p, q = ([made(*line) for line in side] for side in (first, second))

    def difference(x: np.ndarray) -> np.ndarray:
        return np.mean([cdf(x) for _, cdf, _ in p], axis=0) - np.mean([cdf(x) for _, cdf, _ in q], axis=0)

    edges = {-75.0, 75.0} | {edge for _, _, places in (*p, *q) for edge in places}
    ordered = sorted(edges)
    total = 0.0
    for low, high in itertools.pairwise(ordered):
        x = np.linspace(low, high, 20001)[:-1] + (high - low) / 40000  # midpoints: exact but where the sign changes
        total += float(np.abs(difference(x)).sum()) * (high - low) / 20000
    found = exact_wasserstein1(Mixture([law for law, _, _ in p]), Mixture([law for law, _, _ in q]))
    assert found == pytest.approx(total, rel=1e-4, abs=1e-5)


def test_the_integral_on_the_line_is_good_to_nine_digits() -> None:
    """Two mixtures whose distribution functions cross four times, against mpmath, which is told of the crossings."""
    p = Mixture(
        [Gaussian(-2, std=0.2), Gaussian(0, std=0.2), Gaussian(2, std=0.2), Points([[0.5]])], weights=[3, 3, 3, 1]
    )
    q = Mixture([UniformCube(-2, 3), Gaussian(0, std=2)])

    def difference(x):
        left = (3 * sum(mpmath.ncdf((x - place) / 0.2) for place in (-2, 0, 2)) + (x > 0.5)) / 10
        return left - (min(max((x + 2) / 5, 0), 1) + mpmath.ncdf(x / 2)) / 2

    breaks = {-2.0, 0.5, 3.0}
    x = np.linspace(-15, 15, 1501)
    values = [difference(mpmath.mpf(place)) for place in x]
    for low, high, a, b in zip(x[:-1], x[1:], values[:-1], values[1:], strict=True):
        if a * b < 0 and not low <= 0.5 <= high:
            breaks.add(float(mpmath.findroot(difference, (low, high), solver="anderson")))
    edges = {-20.0, -8.0, 8.0, 20.0, *np.linspace(-5, 5, 21).tolist(), *breaks}
    expected = mpmath.quad(lambda x: abs(difference(x)), sorted(edges))
    assert len(breaks) == 7
    assert exact_wasserstein1(p, q) == pytest.approx(float(expected), abs=1e-9)


def test_where_both_laws_have_no_mass_the_potential_goes_on_straight() -> None:
    f = true_potential(UniformCube(0, 1), Points([[5], [7]]))
    assert f is not None
    x = torch.tensor([[-3.0], [0.0], [1.0], [5.0], [7.0], [9.0]])
    assert torch.equal(f(x) - f(x[1:2]), torch.tensor([3.0, 0.0, -1.0, -5.0, -7.0, -9.0]))

    between = true_potential(Points([[0], [10], [20]]), Points([[1], [12], [21]]))  # no dilation
    assert between is not None
    x = torch.tensor([[0.0], [1.0], [4.0], [10.0], [12.0]])
    assert torch.equal(between(x) - between(x[:1]), torch.tensor([0.0, -1.0, -4.0, -10.0, -12.0]))


def test_spreads_whose_squares_vanish_are_no_division_by_zero() -> None:
    assert exact_wasserstein1(Points([[0.0], [1e-170]]), Points([[5.0], [6.0]])) == pytest.approx(5.5)
    assert exact_wasserstein1(Shells([[0, 0]], radius=1e-200), Gaussian([0, 0])) == pytest.approx(
        math.sqrt(math.pi / 2)
    )
    assert exact_wasserstein1(Points([[0.0, 0.0], [1e-170, 0.0]]), UniformCube([0, 0], [1, 2])) is None
