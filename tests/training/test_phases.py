"""Phases change between epochs, at the share that is asked for, and the learning rate goes on across them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.errors import UsageError
from taut.training.phases import Phase, PhasePlan, parse_phases


def plan(text: str, *, samples: int = 100, epochs: int = 10, batch: int = 10, world: int = 1) -> PhasePlan:
    return PhasePlan(parse_phases(text, batch), samples=samples, epochs=epochs, world_size=world)


def test_phases_are_read() -> None:
    assert parse_phases("0:128:512, 0.4:224", 256) == (
        Phase(start=0.0, size=128, batch_size=512),
        Phase(start=0.4, size=224, batch_size=256),
    )


@pytest.mark.parametrize(
    "text",
    ["", "128", "0:", "0:128:", "0:128:4:2", "0:a", "0:0", "0:8:0", "nan:8", "0.1:8", "0:8,0:9", "0:8,1:9", "0:8,"],
)
def test_what_is_no_list_of_phases_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="phases"):
        parse_phases(text, 4)


def test_an_epoch_has_the_phase_that_has_begun() -> None:
    made = plan("0:16,0.4:24,0.75:32")
    assert [made.phase(epoch).size for epoch in range(10)] == [16] * 4 + [24] * 4 + [32] * 2
    assert [made.place(step) for step in (0, 9, 10, 99)] == [(0, 0), (0, 9), (1, 0), (9, 9)]
    assert made.steps == 100


def test_batches_follow_and_the_schedule_counts_epochs() -> None:
    made = plan("0:16:50,0.5:32:10", epochs=4)  # 2 + 2 + 10 + 10 steps
    assert made.steps == 24
    assert [made.steps_in(epoch) for epoch in range(4)] == [2, 2, 10, 10]
    assert [made.progress(step) for step in (0, 1, 2, 4, 9, 14, 23)] == [0, 3, 6, 12, 15, 18, 23]


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(8, 99), epochs=st.integers(1, 7), batch=st.integers(1, 8))
def test_with_equal_epochs_the_schedule_is_that_of_the_steps(samples: int, epochs: int, batch: int) -> None:
    made = plan("0:8", samples=samples, epochs=epochs, batch=batch)
    assert made.steps == epochs * (samples // batch)
    for step in range(made.steps):
        assert made.progress(step) == step
        assert made.place(step) == divmod(step, samples // batch)


def test_phases_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"starts at 0\.9 begins after the last of 4 epochs"):
        plan("0:8,0.9:9", epochs=4)
    with pytest.raises(UsageError, match="multiple of the 2 processes, got 5"):
        plan("0:8,0.5:9:5", world=2)
    with pytest.raises(UsageError, match="larger than the training split"):
        plan("0:8:101")
