"""Intervals against scipy, and how often they hold in simulations."""

import math

import pytest
import scipy.stats
import torch

from taut.transport import exact_transport, mean_difference, transport_upper
from taut.transport.interval import student_quantile


@pytest.mark.parametrize("degrees", [1.0, 1.5, 2.0, 3.7, 10.0, 99.5, 1234.5, 9999.0, 10001.0, 1e7])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9995])
def test_student_quantiles_are_those_of_scipy(probability: float, degrees: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 50), (40, 30)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_the_interval_is_that_of_welch(n: int, m: int, confidence: float) -> None:
    generator = torch.Generator().manual_seed(n)
    p = torch.randn(n, generator=generator, dtype=torch.float64)
    q = 3 * torch.randn(m, generator=generator, dtype=torch.float64) + 1
    found = mean_difference(p, q, bound=2.0, confidence=confidence)
    test = scipy.stats.ttest_ind(p / 2, q / 2, equal_var=False)
    interval = test.confidence_interval(confidence)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6)
    one_sided = scipy.stats.ttest_ind(p / 2, q / 2, equal_var=False, alternative="greater")
    assert found.lower == pytest.approx(one_sided.confidence_interval(confidence).low, rel=1e-6)
    assert found.estimate == pytest.approx(float(p.mean() - q.mean()) / 2, rel=1e-12)
    assert found.standard_error == pytest.approx(math.sqrt(float(p.var() / n + q.var() / m)) / 2, rel=1e-12)


def test_values_without_spread_have_an_interval_of_one_point() -> None:
    found = mean_difference(torch.ones(3), torch.zeros(2), bound=1.0)
    assert (found.interval, found.lower, found.standard_error) == ((1.0, 1.0), 1.0, 0.0)


def test_intervals_hold_as_often_as_they_say() -> None:
    repeats, n, m = 1000, 9, 6
    generator = torch.Generator().manual_seed(1)
    p, q = (torch.randn(repeats, k, generator=generator, dtype=torch.float64) for k in (n, m))
    found = [mean_difference(a + 1.0, b, bound=1.0, confidence=0.9) for a, b in zip(p, q, strict=True)]
    allowed = 4 * math.sqrt(0.9 * 0.1 / repeats)
    inside = sum(f.interval[0] <= 1.0 <= f.interval[1] for f in found) / repeats
    above = sum(f.lower <= 1.0 for f in found) / repeats
    assert abs(inside - 0.9) < allowed
    assert abs(above - 0.9) < allowed


def test_the_transport_value_is_above_the_distance_at_least_as_often_as_its_upper_end_says() -> None:
    repeats, n = 600, 40
    generator = torch.Generator().manual_seed(2)
    ends = []
    for _ in range(repeats):
        x, y = (torch.randn(n, 1, generator=generator, dtype=torch.float64) for _ in range(2))
        moved = exact_transport(x, y + 3.0)  # far apart, so that the value is hardly biased
        ends.append(transport_upper(moved.value, moved.standard_error, samples=min(len(x), len(y)), confidence=0.9))
    share = sum(end >= 3.0 for end in ends) / repeats
    assert 0.9 - 4 * math.sqrt(0.09 / repeats) < share < 0.95


def test_the_upper_end_adds_the_quantile_of_student() -> None:
    expected = 2.0 + 0.5 * float(scipy.stats.t.ppf(0.99, 9))
    assert transport_upper(2.0, 0.5, samples=10, confidence=0.99) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bound": 0.0}, "the bound must be a positive finite number, got 0.0"),
        ({"bound": math.inf}, "the bound must be"),
        ({"bound": math.nan}, "the bound must be"),
        ({"confidence": 1.0}, "confidence must be between 0.5 and 1"),
        ({"confidence": 0.5}, "confidence must be"),
        ({"p_values": torch.ones(1)}, "p_values must be at least 2 numbers, got 1"),
        ({"q_values": torch.tensor([1.0, math.inf])}, "q_values must be finite"),
    ],
)
def test_what_has_no_interval_is_refused(options: dict, reason: str) -> None:
    usual = {"p_values": torch.ones(2), "q_values": torch.ones(2), "bound": 1.0}
    with pytest.raises(ValueError, match=reason):
        mean_difference(**{**usual, **options})


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 2.0), (1.0, 2.0), (0.9, 0.5), (0.9, math.nan)])
def test_quantiles_outside_the_range_are_refused(probability: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        student_quantile(probability, degrees)
