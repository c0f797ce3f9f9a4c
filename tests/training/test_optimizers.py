"""Learning rates as functions of the step; optimizers by name; the moving average."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.errors import UsageError
from taut.training.ema import averaged_copy, follow, update_average
from taut.training.optimizer_state import optimizer_tensors, restore_optimizer
from taut.training.optimizers import OptimizerConfig, build_optimizer, learning_rate

TOTAL = 1000


def rates(**options) -> list[float]:
    config = OptimizerConfig(lr=2.0, **options)
    return [learning_rate(step, TOTAL, config) for step in range(TOTAL)]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "step"])
def test_the_rate_rises_linearly_to_its_peak(schedule: str) -> None:
    found = rates(schedule=schedule, warmup=0.1)
    steps = [after - before for before, after in itertools.pairwise(found[:101])]
    assert max(steps) - min(steps) < 1e-12
    assert found[0] == pytest.approx(2.0 / 101)
    assert max(found) == found[100] == 2.0


@pytest.mark.parametrize(
    ("schedule", "middle", "last"),
    [("constant", 2.0, 2.0), ("cosine", 1.0, 0.0), ("linear", 1.0, 0.0), ("step", 0.2, 0.02)],
)
def test_the_rate_then_falls_as_its_name_says(schedule: str, middle: float, last: float) -> None:
    found = rates(schedule=schedule, warmup=0.0)
    assert found[500] == pytest.approx(middle)
    assert found[-1] == pytest.approx(last, abs=2.5e-3)
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))


def test_one_cycle_passes_through_the_published_corners() -> None:
    found = rates(schedule="one-cycle")
    corners = {0: 0.0, 400: 2.0, 800: 0.1, 999: 0.0}
    for step, rate in corners.items():
        assert found[step] == pytest.approx(rate, abs=6e-3)
    assert min(found) > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lr": 0.0}, "lr must be a positive number, got 0"),
        ({"lr": math.nan}, "lr must be a positive number, got nan"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1"),
        ({"warmup": 1.0}, "warmup is a fraction"),
        ({"momentum": -0.1}, "momentum must be in"),
        ({"betas": (0.9, 1.0)}, "betas must be in"),
        ({"aggmo_betas": (0.0, 1.0)}, "aggmo betas must be one or more"),
        ({"aggmo_betas": ()}, "aggmo betas must be one or more"),
        ({"weight_decay": -1.0}, "weight decay must be a number that is not negative"),
        ({"milestones": (60.0,)}, "milestones are fractions"),
        ({"schedule_factor": 0.0}, "schedule factor must be a positive number, got 0"),
        ({"schedule_factor": float("inf")}, "schedule factor must be a positive number, got inf"),
        ({"weight_decay": float("inf")}, "weight decay must be a number that is not negative, got inf"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(options: dict, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        OptimizerConfig(**options)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "nesterov", "aggmo"])
def test_a_restored_optimizer_goes_on_bit_for_bit(name: str) -> None:
    config = OptimizerConfig(optimizer=name, lr=0.05, weight_decay=0.01)
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    optimizer = build_optimizer(model, config)
    batches = torch.rand(6, 4, 5)

    def update(which: torch.optim.Optimizer, network: nn.Module, batch: torch.Tensor) -> None:
        which.zero_grad()
        network(batch).square().sum().backward()
        which.step()

    for batch in batches[:3]:
        update(optimizer, model, batch)
    other = nn.Linear(5, 3)
    other.load_state_dict(model.state_dict())
    restored = build_optimizer(other, config)
    restore_optimizer(restored, {key: tensor.clone() for key, tensor in optimizer_tensors(optimizer).items()})
    for batch in batches[3:]:
        update(optimizer, model, batch)
        update(restored, other, batch)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_aggmo_takes_its_own_momenta() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), OptimizerConfig(optimizer="aggmo", lr=0.3, aggmo_betas=(0.0, 0.5)))
    group = optimizer.param_groups[0]
    assert type(optimizer).__name__ == "AggMo"
    assert (group["lr"], group["betas"]) == (0.3, (0.0, 0.5))


def test_sgd_without_momentum_has_no_state() -> None:
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, replace(OptimizerConfig(optimizer="sgd"), momentum=0.0))
    model(torch.rand(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer_tensors(optimizer) == {}


def test_the_average_is_the_weighted_sum_of_what_it_saw() -> None:
    model = nn.Linear(2, 1, bias=False)
    average = averaged_copy(model)
    expected = model.weight.detach().double().clone()
    for step in range(30):
        with torch.no_grad():
            model.weight.copy_(torch.randn(1, 2))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach().double()
        update_average(average, model, decay=0.9, step=step)
    assert torch.allclose(average.weight.double(), expected, rtol=1e-5, atol=1e-6)
    assert not average.weight.requires_grad


def test_running_statistics_are_averaged_with_the_parameters_and_other_buffers_copied() -> None:
    model = nn.Sequential(tnn.BatchCentering(2), nn.Linear(2, 2))
    model[1].register_buffer("power", torch.zeros(()))
    average, means = averaged_copy(model), []
    for step in range(4):
        model(torch.randn(5, 2))
        model[1].power.fill_(float(step))
        means.append(model[0].running_mean.clone())
        follow(average, model, OptimizerConfig(swa=1.0), step=step, total=4)
    assert torch.allclose(average[0].running_mean, torch.stack(means).mean(0), atol=1e-6)
    assert not torch.allclose(average[0].running_mean, means[-1], atol=1e-3)
    assert (int(average[0].num_batches_tracked), float(average[1].power)) == (4, 3.0)


def test_the_equal_average_is_the_mean_over_the_last_share_of_the_run() -> None:
    model = nn.Linear(2, 1, bias=False)
    average, config, seen = averaged_copy(model), OptimizerConfig(swa=0.3), []
    for step in range(20):
        with torch.no_grad():
            model.weight.copy_(torch.randn(1, 2))
        follow(average, model, config, step=step, total=20)
        if step < 14:
            assert torch.equal(average.weight, model.weight)
        else:
            seen.append(model.weight.detach().clone())
            room = 8 * torch.finfo(torch.float32).eps
            assert torch.allclose(average.weight, torch.stack(seen).mean(0), atol=room)
    assert len(seen) == 6
    assert (OptimizerConfig().averages, config.averages, OptimizerConfig(ema=0.9).averages) == (False, True, True)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("transposed", [True, False])
def test_weights_in_any_order_of_memory_go_on_as_they_would_have(optimizer: str, transposed: bool) -> None:
    """A checkpoint holds the optimizer's state in one order, whatever that of the weight is."""

    def started() -> tuple[nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Linear(3, 4, bias=False)
        if transposed:
            model.weight = nn.Parameter(torch.randn(3, 4).T)
        return model, build_optimizer(model, OptimizerConfig(optimizer=optimizer))

    def step(model: nn.Linear, optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        (model(torch.eye(3)) * torch.arange(12.0).view(3, 4).add(number).sin()).sum().backward()
        optimizer.step()

    model, rule = started()
    assert rule.defaults["fused"] is (None if transposed else True)
    for number in range(3):
        step(model, rule, number)
    other, resumed = started()
    other.load_state_dict(model.state_dict())
    restore_optimizer(resumed, {name: state.contiguous().clone() for name, state in optimizer_tensors(rule).items()})
    step(model, rule, 3)
    step(other, resumed, 3)
    assert torch.equal(other.weight, model.weight)
