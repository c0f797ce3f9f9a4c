"""Studies along an axis: sizes, patience, memory."""

import math
import multiprocessing

import pytest
import torch

from taut.bench import convolutions, dense, processes, scaling
from taut.bench.config import BenchConfig
from taut.bench.memory import peak_bytes
from taut.bench.patience import Patience
from taut.bench.run import timed
from taut.bench.table import Along, Row
from taut.errors import UserError

CPU = torch.device("cpu")


def row(seconds: float, **fields: float) -> Row:
    return Row(median_ms=1e3 * seconds, ratio=1.0, ratio_low=1.0, ratio_high=1.0, rounds_not_finite=0, **fields)


@pytest.mark.parametrize("axis", ["width", "depth", "batch", "classes", "channels", "side"])
def test_each_size_of_each_study_can_be_done(axis: str) -> None:
    steps = (4, 6)
    found = list(scaling.sections(BenchConfig(axes=(axis,), steps=steps), CPU))
    studies = scaling.STUDIES[axis]
    assert [(section.along.study, section.along.size) for section in found] == [
        (study.work, size) for study in studies for size in steps
    ]
    for section in found:
        made = section.contenders()
        assert section.base in made
        assert len(made) >= 2
        assert math.isfinite(made[section.base]()()), section.title


@pytest.mark.parametrize(
    ("axis", "weights", "inputs"),
    [
        ("width", [(6, 784), (6, 6), (10, 6)], (256, 784)),
        ("depth", [(512, 784), *[(512, 512)] * 5, (10, 512)], (256, 784)),
        ("batch", [(1024, 784), (1024, 1024), (10, 1024)], (6, 784)),
        ("classes", [(512, 784), (512, 512), (6, 512)], (256, 784)),
        ("channels", [(6, 6, 3, 3)], (64, 6, 8, 8)),
        ("side", [(32, 32, 3, 3)], (8, 32, 6, 6)),
    ],
)
def test_what_grows_is_what_is_named(axis: str, weights: list, inputs: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(model: torch.nn.Module, inputs: torch.Tensor, objective: object, **options: object) -> torch.Tensor:
        made.append(([parameter.shape for parameter in model.parameters() if parameter.ndim > 1], inputs.shape))
        return lambda: 0.0

    made = []
    for module in (dense, convolutions):
        monkeypatch.setattr(module, "training_step", step)
    section = next(scaling.sections(BenchConfig(axes=(axis,), steps=(6,)), CPU))
    section.contenders()[section.base]()
    assert made == [(weights, inputs)]


def test_two_processes_are_beside_one() -> None:
    section, _ = scaling.sections(BenchConfig(axes=("processes",), steps=(2,)), CPU)
    made = section.contenders()
    assert list(made) == [section.base, processes.SHARED]
    assert section.wall
    call = processes.contenders("mlp", 2, BenchConfig(), CPU, updates=2)[processes.SHARED]()
    assert math.isfinite(call())
    assert call() != 0.0  # the processes wait for the next one
    there = multiprocessing.active_children()
    assert len(there) == 2
    del call
    assert not any(process.is_alive() for process in there)


def test_a_process_that_ends_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    call = processes.contenders("mlp", 2, BenchConfig(accelerator="gpu"), CPU)[processes.SHARED]()
    for _ in range(2):
        with pytest.raises(UserError, match="one of 2 training processes ended"):
            call()
    assert multiprocessing.active_children() == []


def test_who_was_slow_is_left_out_of_larger_sizes() -> None:
    patience = Patience(10.0)
    along = [Along(study="s", axis="width", size=size, growth=3) for size in (1, 2, 4)]
    patience.remember(along[0], {"quick": row(0.1), "slow": row(2.0), "edge": row(1.25)})
    allowed = {name: patience.allows(along[1], name) for name in ("quick", "slow", "edge", "new")}
    assert allowed == {"quick": True, "slow": False, "edge": True, "new": True}
    assert patience.allows(along[2], "quick")
    assert not patience.allows(along[2], "edge")
    assert patience.allows(Along(study="other", axis="width", size=4, growth=3), "slow")
    patience.remember(along[1], {"slow": row(0.5)})
    assert patience.allows(along[2], "slow")


def test_a_table_says_who_is_left_out_and_the_base_never_is() -> None:
    config = BenchConfig(rounds=1, axes=("width",), steps=(4, 8), patience=1e-9, only=("parseval",))
    patience = Patience(config.patience)
    small, large = (timed(section, config, CPU, patience) for section in scaling.sections(config, CPU))
    assert (list(small.left_out), list(large.left_out)) == ([], ["taut: parseval"])
    assert set(large.rows) == {large.base}
    assert all(row.peak_mib > 0 for row in small.rows.values())


def test_peak_memory_is_the_most_that_is_held_at_a_time() -> None:
    def call() -> float:
        first = torch.ones(2**18)  # 1 MiB
        second = torch.cat([first, first])
        del first
        third = torch.cat([second, second])  # 2 and 4 MiB now
        del second, third
        return float(torch.ones(2**18).sum())

    call()
    assert peak_bytes(call, CPU) == pytest.approx(6 * 2**20, abs=1000)


def test_memory_that_one_call_leaves_to_the_next_is_no_peak() -> None:
    held = [torch.ones(2**20)]

    def call() -> float:
        held.clear()
        held.append(torch.ones(2**20))
        return 0.0

    assert peak_bytes(call, CPU) < 1000


def test_nothing_of_the_profiler_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    held = [torch.ones(2**10) for _ in range(4)]
    peak_bytes(lambda: float(held.pop().sum()), CPU)  # frees what the profiler did not see coming
    assert capfd.readouterr() == ("", "")
