"""Interleaved timing with a clock of its own, and what is said of it."""

import gc
import math
from collections.abc import Callable

import pytest

from taut.bench.table import Row
from taut.bench.timing import interleaved, summary


class Clock:
    """Time that passes only when a contender lets it."""

    def __init__(self) -> None:
        self.now, self.called = 0.0, []

    def __call__(self) -> float:
        return self.now

    def contender(self, name: str, seconds: float, number: float = 0.0) -> Callable[[], float]:
        def call() -> float:
            assert not gc.isenabled()
            self.called.append(name)
            self.now += seconds * len(self.called)
            return number

        return call


def test_every_contender_runs_once_a_round_and_the_first_rounds_do_not_count() -> None:
    clock, steps = Clock(), []
    contenders = {"a": clock.contender("a", 1.0), "b": clock.contender("b", 2.0)}
    seconds = interleaved(contenders, rounds=2, warmup=1, clock=clock, progress=lambda: steps.append(1))
    rounds = [clock.called[k : k + 2] for k in (0, 2, 4)]
    assert all(sorted(names) == ["a", "b"] for names in rounds)
    assert len({tuple(names) for names in rounds}) == 2  # in another order now and then
    late = {name: [k + 1 for k, called in enumerate(clock.called) if called == name and k >= 2] for name in "ab"}
    assert seconds == {"a": [1.0 * k for k in late["a"]], "b": [2.0 * k for k in late["b"]]}
    assert len(steps) == 6
    assert gc.isenabled()


def test_long_rounds_need_no_second_one_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("taut.bench.timing.time.monotonic", lambda: 60.0 * len(clock.called))
    assert interleaved({"a": clock.contender("a", 1.0)}, rounds=3, warmup=2, clock=clock) == {"a": [2.0, 3.0, 4.0]}


def test_rounds_whose_number_is_not_finite_are_left_out() -> None:
    clock = Clock()
    contenders = {"base": clock.contender("base", 1.0), "lost": clock.contender("lost", 1.0, math.nan)}
    seconds = interleaved(contenders, rounds=3, warmup=0, clock=clock)
    assert seconds["lost"] == [None] * 3
    rows = summary(seconds, base="base")
    assert rows["lost"].rounds_not_finite == 3
    assert math.isnan(rows["lost"].ratio)
    assert list(rows) == ["base", "lost"]


def test_ratios_are_those_of_the_same_round() -> None:
    rows = summary({"base": [1.0, 10.0, 100.0], "layer": [2.0, 40.0, 300.0], "quick": [0.5, 5.0, 50.0]}, base="base")
    assert list(rows) == ["quick", "base", "layer"]
    expected = Row(median_ms=40_000.0, ratio=3.0, ratio_low=2.0, ratio_high=4.0, rounds_not_finite=0)
    assert rows["layer"] == expected
