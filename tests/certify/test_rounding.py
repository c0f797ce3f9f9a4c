"""Directed rounding against rational arithmetic."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.certify import rounding

positive = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
nonzero = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)


def is_smallest_above(value: float, exact: Fraction) -> bool:
    if math.isinf(value):
        return exact > Fraction(math.nextafter(math.inf, 0.0))
    return Fraction(value) >= exact > Fraction(math.nextafter(value, -math.inf))


@settings(max_examples=300, deadline=None)
@given(a=positive, b=nonzero)
def test_scalars_round_up_to_the_very_next_float(a: float, b: float) -> None:
    assert is_smallest_above(rounding.add_up(a, b), Fraction(a) + Fraction(b))
    assert is_smallest_above(rounding.mul_up(a, b), Fraction(a) * Fraction(b))
    assert is_smallest_above(rounding.div_up(a, b), Fraction(a) / Fraction(b))
    root = rounding.sqrt_up(b)
    assert Fraction(root) ** 2 >= Fraction(b) > Fraction(math.nextafter(root, 0.0)) ** 2


@settings(max_examples=300, deadline=None)
@given(a=positive, b=nonzero, exponent=st.integers(-2200, 2200))
def test_scalars_round_down_to_the_very_next_float(a: float, b: float, exponent: int) -> None:
    for value, exact in (
        (rounding.div_down(a, b), Fraction(a) / Fraction(b)),
        (rounding.ldexp_down(a, exponent), Fraction(a) * Fraction(2) ** exponent),
    ):
        above = math.nextafter(value, math.inf)
        assert Fraction(value) <= exact
        assert math.isinf(above) or Fraction(above) > exact
    assert is_smallest_above(rounding.ldexp_up(a, exponent), Fraction(a) * Fraction(2) ** exponent)
    root = rounding.sqrt_down(a)
    assert Fraction(root) ** 2 <= Fraction(a) < Fraction(math.nextafter(root, math.inf)) ** 2


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(0.0, 1e30), max_size=20))
def test_folds_are_above_the_exact_result(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    assert Fraction(rounding.sum_up(values)) >= sum(exact)
    assert rounding.product_up(values) >= math.prod(exact)
    root = rounding.root_sum_squares_up(values)
    assert Fraction(root) ** 2 >= sum(value**2 for value in exact)
    near = (1 + Fraction(64, 2**53)) ** 2 * sum(value**2 for value in exact)
    assert Fraction(root) ** 2 <= near + Fraction(2) ** -2000


def test_exact_results_are_left_alone() -> None:
    assert rounding.product_up([1.0] * 50 + [3.0]) == 3.0
    assert rounding.root_sum_squares_up([0.0, 7.0]) == 7.0


def test_infinity_is_an_upper_bound_of_everything() -> None:
    assert rounding.mul_up(math.inf, 0.0) == math.inf
    assert rounding.add_up(1.7e308, 1.7e308) == math.inf


@pytest.mark.parametrize("terms", [0, 1, 2, 1000, 2**40])
def test_gamma_is_above_its_definition(terms: int) -> None:
    ku = Fraction(terms) / 2**53
    assert is_smallest_above(rounding.gamma(terms), ku / (1 - ku))


@pytest.mark.parametrize("terms", [-1, 2**40 + 1])
def test_gamma_refuses_what_it_does_not_cover(terms: int) -> None:
    with pytest.raises(ValueError, match=str(terms)):
        rounding.gamma(terms)


def test_norms_leave_room_for_every_order_of_summation() -> None:
    """Sums of ones are exact here; another order or another machine may lose gamma_{n-1} of a sum of n terms."""
    size = 2**16
    ones = torch.ones(size, dtype=torch.float64)
    room = 1 + Fraction(size - 1) / 2**53
    assert Fraction(float(rounding.norm_up(ones, order=1))) >= size * room
    assert Fraction(float(rounding.norm_up(ones))) ** 2 >= size * room


@settings(max_examples=100, deadline=None)
@given(value=st.floats(0.0, 1e300))
def test_inflation_covers_sixteen_roundings_and_underflow(value: float) -> None:
    inflated = Fraction(float(rounding.inflate(torch.tensor(value, dtype=torch.float64))))
    assert inflated >= Fraction(value) * (1 + Fraction(1, 2**53)) ** 16
    assert inflated >= Fraction(2) ** -960
    assert inflated <= Fraction(value) * (1 + Fraction(1, 2**47)) + Fraction(2) ** -959


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 60), exponent=st.integers(-300, 140), seed=st.integers(0, 2**31))
def test_norms_are_above_and_near(size: int, exponent: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, generator=generator, dtype=torch.float64) * 10.0**exponent
    exact = [Fraction(value) for value in values.tolist()]
    one, two = (float(rounding.norm_up(values, order=order)) for order in (1, 2))
    assert Fraction(one) >= sum(map(abs, exact))
    assert Fraction(two) ** 2 >= sum(value**2 for value in exact)
    factor = 1 + Fraction(2) ** -47 + 3 * Fraction(size + 2) * Fraction(2) ** -53
    assert one <= factor * sum(map(abs, exact)) + Fraction(2) ** -900
    above_underflow = max(Fraction(two) - Fraction(2) ** -450, Fraction(0))
    assert above_underflow**2 <= factor**2 * sum(value**2 for value in exact)


@pytest.mark.parametrize("build", [lambda: torch.full((3,), 2.0**-1070, dtype=torch.float64)])
def test_subnormal_numbers_count_even_where_they_are_flushed(build: Callable[[], torch.Tensor]) -> None:
    from taut.certify import spectral_norm_bound

    weight = build().reshape(1, 3)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        bound = spectral_norm_bound(weight)
        still_flushed = float(weight[0, 0] * 2.0**1000) == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert Fraction(bound) ** 2 >= 3 * Fraction(2) ** -2140
    assert still_flushed  # the caller's setting is put back
