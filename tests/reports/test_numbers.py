"""Bounds are never printed on the flattering side."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from taut.reports.page.numbers import lower, percent, upper


@given(st.floats(0, 1e308))
def test_a_printed_bound_is_still_a_bound(value: float) -> None:
    assert Decimal(lower(value)) <= Decimal(value) <= Decimal(upper(value))
    room = Decimal("1e-7") if value < 1e7 else Decimal(value) * Decimal("1.001e-3")
    assert Decimal(upper(value)) - Decimal(lower(value)) <= room
    assert len(upper(value)) <= 15


def test_what_is_not_finite_is_said() -> None:
    assert upper(float("inf")) == "∞"


def test_percent_has_two_decimals_and_a_thin_space() -> None:
    assert percent(0.97222) == "97.22\u202f%"
