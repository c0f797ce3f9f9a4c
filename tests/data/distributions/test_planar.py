"""Laws in the plane: what is drawn is what the density says, and the density is that of closed forms."""

import math

import pytest
import torch
from scipy import special, stats

from taut.data.distributions import Distribution, Gaussian, Mixture, Shells, UniformCube, parse

COUNT = 40_000
EPS = torch.finfo(torch.float64).eps
SIDE = 4.5

LAWS = (
    "moons(noise=0.15)",
    "circles([1.0, 2.5], noise=0.2)",
    "ring(6, radius=2, std=0.3)",
    "spirals(2, turns=1.0, radius=3, noise=0.2)",
    "checkerboard(3, width=4.5)",
    "pinwheel(3, radius=1.5, long=0.4, wide=0.3, twist=1.0)",
    "gaussian([0.5, -1.0], covariance=[[1.0, 0.6], [0.6, 1.0]])",
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def known_density(law: Distribution, x: torch.Tensor) -> torch.Tensor:
    values = law.log_density(x)
    assert values is not None
    return values


@pytest.mark.parametrize("text", LAWS)
def test_samples_fall_into_each_cell_as_often_as_the_density_says(text: str) -> None:
    law, cells, inner = parse(text), 12, 6
    samples = law.sample(COUNT, seeded(1))
    assert torch.equal(samples, law.sample(COUNT, seeded(1)))
    edges = torch.linspace(-SIDE, SIDE, cells * inner + 1, dtype=torch.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    density = known_density(law, torch.cartesian_prod(middles, middles)).exp()
    masses = (density * (2 * SIDE / (cells * inner)) ** 2).reshape(cells, inner, cells, inner).sum(dim=(1, 3))
    assert float(masses.sum()) == pytest.approx(1.0, abs=0.01)
    counts, _ = torch.histogramdd(samples.double(), bins=[cells, cells], range=[-SIDE, SIDE, -SIDE, SIDE])
    error = (masses * (1 - masses) / COUNT).sqrt()
    assert bool(((counts / COUNT - masses).abs() <= 5 * error + 3e-3).all())  # 3e-3: of the midpoint rule


def test_the_density_near_a_circle_is_that_of_rice() -> None:
    """A noisy circle's density is a Bessel function; near moons it is a sum of two halves of such."""
    noise, radius = 0.1, 2.0
    x = torch.tensor([[2.0, 0.0], [0.0, 1.8], [-1.4, 1.5], [2.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    r = x.norm(dim=1).numpy()
    expected = -((r - radius) ** 2) / (2 * noise**2) - math.log(2 * math.pi * noise**2)
    expected = expected + torch.from_numpy(special.ive(0, r * radius / noise**2)).log().numpy()
    found = known_density(parse(f"circles([{radius}], noise={noise})"), x)
    assert torch.allclose(found, torch.from_numpy(expected), rtol=1e-9)


def test_the_density_of_a_curve_without_width_is_not_computed() -> None:
    assert parse("moons(noise=1e-9)").log_density(torch.zeros(1, 2)) is None


def test_densities_of_the_laws_that_were_there() -> None:
    x = torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    full = [[1.0, 0.6], [0.6, 2.0]]
    expected = torch.from_numpy(stats.multivariate_normal([1.0, 0.0], full).logpdf(x.numpy()))
    assert torch.allclose(known_density(Gaussian([1.0, 0.0], covariance=full), x), expected, atol=100 * EPS)
    box = UniformCube([-1, -1], [1, 0])
    inside = (x.abs() <= 1).all(dim=1) & (x[:, 1] <= 0)
    expected_box = torch.where(inside, -math.log(2.0), -math.inf).double()
    assert torch.allclose(known_density(box, x), expected_box, atol=10 * EPS)
    both = Mixture([Gaussian([1.0, 0.0], covariance=full), box], weights=[1, 3])
    mixed = (expected.exp() + 3 * known_density(box, x).exp()) / 4
    assert torch.allclose(known_density(both, x).exp(), mixed, atol=100 * EPS)
    assert Mixture([box, Shells([[0, 0]], radius=1)]).log_density(x) is None
    assert known_density(Mixture([box, Shells([[0, 0]], radius=1)], weights=[1, 0]), x).equal(known_density(box, x))


def test_moons_are_where_scikit_learn_has_them() -> None:
    from sklearn.datasets import make_moons

    points, labels = make_moons(200, shuffle=False)
    samples = parse("moons(noise=0.000001)").sample(2000, seeded()).double()
    for label in (0, 1):
        near = torch.cdist(torch.from_numpy(points[labels == label]), samples).amin(dim=1)
        assert float(near.max()) < 0.03
    assert float(torch.cdist(samples, torch.from_numpy(points)).amin(dim=1).max()) < 0.03


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("moons(noise=0)", "noise must be one number above 0, got 0"),
        ("circles([1, -1])", r"radii must be one or more numbers above 0, got \[1, -1\]"),
        ("ring(0)", "count must be a whole number of at least 1, got 0"),
        ("spirals(1.5)", "arms must be a whole number of at least 1, got 1.5"),
        ("checkerboard(4, width=0)", "width must be one number above 0, got 0"),
        ("pinwheel(5, twist=[1, 2])", r"twist must be one number, got \[1, 2\]"),
        ("moon()", "unknown distribution 'moon' .did you mean 'moons'.*pinwheel"),
    ],
)
def test_mistakes_are_one_sentence(text: str, sentence: str) -> None:
    from taut.errors import UsageError

    with pytest.raises(UsageError, match=sentence) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
