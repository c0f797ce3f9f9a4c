"""Every kind of benchmark at sizes that take no time: its contenders do their work, and the base is among them."""

import math

import pytest
import torch

from taut.bench import training
from taut.bench.config import BenchConfig
from taut.bench.patience import Patience
from taut.bench.run import KINDS, timed
from taut.bench.section import chosen
from taut.bench.timing import summary

CONFIG = BenchConfig(rounds=1, widths=(16,), batches=(4,), channels=(4,), sides=(6,), images=(2,))
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["dense", "conv", "projection"])
def test_each_contender_does_its_work(kind: str) -> None:
    for section in KINDS[kind](CONFIG, CPU):
        calls = {name: make() for name, make in section.contenders().items()}
        assert section.base in calls
        assert len([name for name in calls if name.startswith("taut: ")]) >= 2
        for name, call in calls.items():
            assert math.isfinite(call()), name


def test_activations_and_bounds_are_timed_by_name() -> None:
    words = BenchConfig(
        rounds=1, only=("MaxMin", "orthogonal weight"), widths=(8,), channels=(2,), sides=(4,), images=(1,)
    )
    dense, _ = KINDS["activation"](words, CPU)
    assert set(chosen(dense.contenders(), dense.base, words)) >= {"torch: relu", "taut: MaxMin", "taut: SmoothMaxMin"}
    weight, kernel, _ = KINDS["bound"](words, CPU)
    rows = timed(weight, words, CPU, Patience(1.0)).rows
    assert set(rows) == {"torch: svdvals in float64", "taut: spectral_norm_bound, orthogonal weight"}
    assert rows["torch: svdvals in float64"].ratio == 1.0
    for make in kernel.contenders().values():
        assert 0.1 < make()() < 10


def test_the_trainer_makes_the_updates_of_the_bare_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = []
    monkeypatch.setattr(training, "project_", lambda model: updates.append("bare"))
    monkeypatch.setattr("taut.training.supervised.project_", lambda model, **options: updates.append("fit"))
    *_, plain = KINDS["train"](CONFIG, CPU)
    calls = {name: make() for name, make in plain.contenders().items()}
    assert math.isfinite(calls["bare loop"]())
    assert updates == ["bare"] * 1000
    assert math.isfinite(calls["taut: fit"]())
    assert updates.count("fit") == 1000 + 1  # and once exactly at the end


def test_only_leaves_the_base() -> None:
    made = {"base": lambda: lambda: 0.0, "taut: one": lambda: lambda: 0.0, "Other": lambda: lambda: 0.0}
    assert list(chosen(made, "base", BenchConfig(only=("ONE",)))) == ["base", "taut: one"]
    assert list(summary({"base": [1.0]}, base="base")) == ["base"]
