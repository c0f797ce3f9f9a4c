"""The bracket of W1 between samples: where the truth is known, under changes of units, and what it may look at."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.transport import wasserstein1
from taut.transport.samples import find_scale, read_samples

SMALL = {"width": 16, "depth": 1, "steps": 60, "batch_size": 128, "lr": 0.05}
AXIS = nn.Linear(2, 1, bias=False)
with torch.no_grad():
    AXIS.weight.copy_(torch.tensor([[-1.0, 0.0]]))

FIXED = {"critic": AXIS, "steps": 0}


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def sphere(seed: int, count: int, dimension: int) -> Tensor:
    points = normal(seed, count, dimension)
    return points / points.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (normal(0, 500, 1), normal(1, 400, 1) + 1.0),
        (normal(2, 600, 2), normal(3, 500, 2) + torch.tensor([0.6, 0.8])),
        (torch.zeros(300, 3), sphere(4, 400, 3)),
        (normal(5, 400, dtype=torch.float32), normal(6, 400).half() - 1.0),
        (normal(7, 300, 1, 2, 2).numpy(), (normal(8, 300, 1, 2, 2) + 0.5).float().numpy()),
    ],
    ids=["line", "plane", "sphere", "mixed", "picture"],
)
def test_the_truth_lies_between_lower_and_upper(x, y) -> None:
    w = taut.wasserstein1(x, y, **{**SMALL, "steps": 100}, confidence=0.999)
    assert w.upper is not None
    # the solver's rounding, where the transport value has no other error
    assert w.lower <= 1.0 <= w.upper + 1e-9
    assert w.estimate > 0.5
    assert w.interval[0] < w.estimate < w.interval[1]
    assert 0.0 < w.lower < w.estimate


def test_the_estimate_is_that_of_the_critic_returned_on_the_samples_held_out() -> None:
    x, y = normal(0, 40, 2).float(), normal(1, 60, 2).float() + 1.0
    w = wasserstein1(x, y, **SMALL, held_out=0.3)
    assert w.samples == (12, 18)
    assert all(type(module).__module__.startswith("torch.") for module in w.critic.modules())
    assert not w.critic.training
    assert w.lipschitz_bound == taut.lipschitz_bound(w.critic) <= 1 + 1e-5
    assert w.critic(x).shape == (40, 1)
    with torch.no_grad():
        p, q = (w.critic(z).double()[:, 0] / w.lipschitz_bound for z in (x, y))
    # 12 of 40 and 18 of 60: the mean over all samples is 0.3 of the one part and 0.7 of the other
    everything = float(p.mean() - q.mean())
    assert everything == pytest.approx(0.3 * w.estimate + 0.7 * w.train_estimate, rel=1e-5)


def test_each_sample_is_either_trained_on_or_held_out() -> None:
    x, y = normal(0, 6, 2), normal(1, 4, 2) + 1.0
    options = {"depth": 0, "steps": 3, "exact": False}

    def run(x: Tensor, y: Tensor) -> tuple[Tensor, float, float]:
        w = wasserstein1(x, y, **options)
        return torch.cat([p.flatten() for p in w.critic.parameters()]), w.estimate, w.train_estimate

    weights, estimate, trained = run(x, y)
    for which, count in ((0, 6), (1, 4)):
        held = 0
        for i in range(count):
            changed = [x.clone(), y.clone()]
            changed[which][i] += 0.25
            other_weights, other_estimate, other_trained = run(*changed)
            if torch.equal(weights, other_weights):
                held += 1
                assert other_estimate != estimate
                assert other_trained == trained
            else:
                assert other_trained != trained
        assert held == count // 2


def test_what_is_learned_by_heart_is_not_counted() -> None:
    x, y = normal(0, 60, 30), normal(1, 60, 30)  # one distribution
    w = wasserstein1(x, y, **{**SMALL, "width": 64, "steps": 200}, confidence=0.99, exact=False)
    assert w.train_estimate > 1.0
    assert w.interval[0] < 0.0 < w.interval[1]
    assert w.lower == 0.0


def test_samples_against_themselves_are_at_distance_zero() -> None:
    x = normal(0, 50, 2)
    w = wasserstein1(x, x.clone(), **SMALL)
    assert w.estimate == w.lower == 0.0
    assert w.interval[0] < 0.0 < w.interval[1]
    assert w.transport == w.upper == pytest.approx(0.0, abs=1e-12)


def test_a_power_of_two_in_the_units_is_one_in_the_numbers() -> None:
    x, y = normal(0, 40, 2), normal(1, 40, 2) + 1.0
    plain = wasserstein1(x, y, **{**SMALL, "steps": 20})
    for factor in (2.0**20, 2.0**-60):
        other = wasserstein1(factor * x, factor * y, **{**SMALL, "steps": 20})
        for name in ("estimate", "lower", "upper", "standard_error", "train_estimate"):
            assert getattr(other, name) == pytest.approx(factor * getattr(plain, name), rel=1e-9)


@pytest.mark.parametrize(
    ("dtype", "factor", "offset"),
    [
        (torch.float32, 1e6, 0.0),
        (torch.float32, 1.0, 1e6),
        (torch.float32, 1e-30, 0.0),
        (torch.float64, 1e-2, 1e6),
        (torch.float64, 1e200, 0.0),
        (torch.float64, 1e-200, 0.0),
    ],
)
def test_any_scale_and_offset_works(dtype: torch.dtype, factor: float, offset: float) -> None:
    x, y = normal(0, 300, 2), normal(1, 300, 2) + torch.tensor([1.5, 2.0])
    x, y = (offset + factor * x).to(dtype), (offset + factor * y).to(dtype)
    w = wasserstein1(x, y, **SMALL)
    # 2.5 is the truth; rounding the samples at a large offset moves each by that much at most
    rounding = 2 * abs(offset) * torch.finfo(dtype).eps
    assert w.lower / factor <= 2.5 + 2 * rounding / factor
    assert w.estimate / factor >= 2.5 * 0.9 - 2 * rounding / factor
    assert w.lipschitz_bound <= 1 + 1e-5
    assert next(w.critic.parameters()).dtype == dtype


def test_dividing_by_the_proven_constant_makes_the_critics_scale_irrelevant() -> None:
    x, y = normal(0, 40, 2), normal(1, 30, 2) + torch.tensor([1.0, 0.0])
    plain = wasserstein1(x, y, critic=AXIS, steps=0)
    assert plain.estimate == pytest.approx(float(y[:, 0].mean() - x[:, 0].mean()), rel=1e-6)
    assert plain.samples == (40, 30)
    assert plain.train_estimate is None
    tenfold = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        tenfold.weight.copy_(10.0 * AXIS.weight)
    scaled = wasserstein1(x, y, critic=tenfold, steps=0)
    assert scaled.lipschitz_bound >= 10.0
    for name in ("estimate", "lower", "standard_error"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-6)


def test_a_critic_of_ones_own_is_trained_in_a_copy() -> None:
    own = nn.Sequential(nn.Flatten(), tnn.BjorckLinear(4, 4), nn.Dropout(0.1), tnn.BjorckLinear(4, 1))
    before = {name: value.clone() for name, value in own.state_dict().items()}
    x, y = normal(0, 100, 2, 2), normal(1, 100, 2, 2) + 1.0
    start = wasserstein1(x, y, critic=own, steps=0, exact=False)
    w = wasserstein1(x, y, critic=own, steps=100, lr=0.05, exact=False)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert own.training
    assert w.estimate > max(1.5, start.estimate)


def test_a_seed_decides_everything_and_the_global_generator_is_left_alone() -> None:
    x, y = normal(0, 40, 2), normal(1, 40, 2)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(found))
        before = torch.random.get_rng_state()
        found.append(wasserstein1(x, y, depth=0, steps=5, seed=seed, exact=False).estimate)
        assert torch.equal(before, torch.random.get_rng_state())
    assert found[0] == found[1] != found[2]


@pytest.mark.filterwarnings("error")  # torch warns of memory that it must not write to
def test_samples_and_arrays_are_not_written_to() -> None:
    x, y = normal(0, 20, 2).numpy(), normal(1, 20, 2).numpy()
    x.flags.writeable = False
    copy = y.copy()
    wasserstein1(x, y, **FIXED)
    assert np.array_equal(y, copy)
    a = wasserstein1(x[::-1], y.astype(">f8"), **FIXED)  # strides and byte orders that torch lacks
    b = wasserstein1(x[::-1].copy(), y, **FIXED)
    assert a.estimate == b.estimate


def test_the_upper_end_takes_as_many_samples_as_it_is_allowed() -> None:
    x, y = normal(0, 40, 2), normal(1, 60, 2)
    assert wasserstein1(x, y, **FIXED, exact_samples=50).transport_samples == (40, 50)
    none = wasserstein1(x, y, **FIXED, exact=False)
    assert (none.transport, none.upper, none.transport_samples) == (None, None, None)
    assert "upper      none" in str(none)


def test_without_pot_there_is_an_upper_end_on_the_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    x, y = normal(0, 40, 2), normal(1, 60, 2)
    assert wasserstein1(x, y, **FIXED).upper is None
    assert wasserstein1(x[:, :1], y[:, :1], critic=nn.Flatten(), steps=0).upper is not None


def test_the_result_says_what_its_numbers_are() -> None:
    text = str(wasserstein1(normal(0, 40), normal(1, 60) + 2.0, depth=0, steps=2, confidence=0.9))
    for part in ("20 and 30 samples", "estimate", "interval", "lower", "upper", "transport", "training", "90 %"):
        assert part in text


def ones(*shape: int, **options) -> Tensor:
    return torch.ones(*shape, **options)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "reason"),
    [
        (ones(0, 2), ones(4, 2), {}, ValueError, r"x has no samples: its shape is \(0, 2\)"),
        (ones(4, 2), ones(4, 0), {}, ValueError, "y has no samples"),
        (ones(4, 2), torch.tensor(1.0), {}, ValueError, "y has no samples"),
        (ones(4, 2), ones(4, 3), {}, ValueError, r"x and y must have one shape, got \(2,\) and \(3,\)"),
        (ones(4, 2), torch.tensor([[0.0, 1.0], [1.0, math.nan]]), {}, ValueError, r"y must be finite, but y\[1\] is"),
        (ones(3, 2), ones(4, 2), {}, ValueError, "x has 3 samples, but at least 4 are needed: 2 to hold out"),
        (ones(9, 2), ones(4, 2), {"held_out": 0.2}, ValueError, "x has 9 samples, but at least 10 are needed"),
        (ones(1, 2), ones(4, 2), {"steps": 0, "critic": AXIS}, ValueError, "x has 1 samples, but at least 2"),
        (ones(4, 2, dtype=torch.int64), ones(4, 2), {}, TypeError, "x must be floating-point numbers, got torch.int64"),
        (ones(4, 2), ones(4, 2, dtype=torch.complex64), {}, TypeError, "y must be floating-point .* torch.complex64"),
        (np.ones((4, 2), dtype=object), ones(4, 2), {}, TypeError, "x must be floating-point numbers, got object"),
        (ones(4, 2), ones(4, 2), {"held_out": 1.0}, ValueError, "held_out must be a share between 0 and 1, got 1.0"),
        (ones(4, 2), ones(4, 2), {"confidence": 95.0}, ValueError, "confidence must be between 0.5 and 1"),
        (ones(4, 2), ones(4, 2), {"steps": 0}, ValueError, "steps must be at least 1 unless a critic is given"),
        (ones(4, 2), ones(4, 2), {"steps": -1}, ValueError, "steps must be an integer that is at least 0, got -1"),
        (ones(4, 2), ones(4, 2), {"lr": 0.0}, ValueError, "lr must be positive, got 0.0"),
        (ones(4, 2), ones(4, 2), {"linear": "silk"}, ValueError, "linear must be one of .*, got 'silk'"),
        (
            ones(4, 2),
            ones(4, 2),
            {"exact_samples": 20000},
            ValueError,
            "exact_samples must be at most 10000, got 20000",
        ),
        (ones(4, 2), ones(4, 2), {"critic": nn.Sequential(AXIS, Square())}, TypeError, "Lipschitz rule"),
        (ones(4, 2), ones(4, 2), {"critic": nn.Linear(2, 3)}, ValueError, "one value for each"),
        (ones(4, 2), ones(4, 2), {"critic": tnn.Scale(0.0), "steps": 0}, ValueError, "must be positive and finite"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_sentence(x, y, options: dict, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason) as caught:
        wasserstein1(x, y, **{**SMALL, "steps": 2, **options})
    assert "\n" not in str(caught.value)


def test_lists_are_refused() -> None:
    with pytest.raises(TypeError, match="x must be a tensor or a numpy array, got list"):
        read_samples("x", [[1.0]])


def test_samples_are_scaled_by_a_power_of_two_which_rounds_nothing() -> None:
    scale = find_scale(normal(0, 50, 3) + 7.0, normal(1, 50, 3) + 9.0, torch.float64)
    assert math.frexp(scale.unit)[0] == 0.5
    assert scale.centre.tolist() == pytest.approx([8.0] * 3, abs=0.5)
