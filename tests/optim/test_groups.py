"""Learned activations are updated at rates of their own, and never decayed."""

import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.errors import UsageError
from taut.optim import parameter_groups, set_rates
from taut.training.optimizers import OptimizerConfig, build_optimizer
from taut.training.regularisers import penalty
from taut.training.serialise import from_plain, to_plain


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4),
        tnn.LinearSpline(4, knots=5, width=0.7, init="relu"),
        tnn.LipschitzPReLU(4, init="leaky"),
        tnn.NActivation(4),
        tnn.HouseholderActivation(4),
        nn.Linear(4, 1),
    )


def moves(config: OptimizerConfig, rate: float) -> dict[str, float]:
    """How far each parameter goes in one step of gradient descent, in gradients."""
    model = network()
    optimizer = build_optimizer(model, config)
    set_rates(optimizer, rate)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {name: float((before[name] - p.detach()).mean()) for name, p in model.named_parameters()}


def test_each_kind_moves_at_its_own_rate() -> None:
    config = OptimizerConfig(optimizer="sgd", momentum=0.0, lr=9.0, coefficient_rate=0.01, scale_rate=0.1)
    found = moves(config, 2.0)
    expected = dict.fromkeys(found, 2.0) | {"1.coefficients": 0.02, "1.log_scale": 0.2}
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_published_rates_are_the_default() -> None:
    config = OptimizerConfig(lr=2e-3)
    groups = build_optimizer(network(), config).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([2e-3, 5e-5, 5e-4])
    assert sum(len(group["params"]) for group in groups) == len(list(network().parameters()))


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "aggmo"])
def test_weight_decay_leaves_activations_alone(name: str) -> None:
    model = network()
    optimizer = build_optimizer(model, OptimizerConfig(optimizer=name, lr=0.1, weight_decay=0.5))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"0.weight", "0.bias", "5.weight", "5.bias"}


def test_modules_of_others_take_part_and_frozen_parameters_do_not() -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rest = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))

        def coefficient_parameters(self) -> list[nn.Parameter]:
            return [self.table]

    mine, frozen = Mine(), nn.Linear(2, 2).requires_grad_(False)
    groups = parameter_groups(nn.ModuleList([mine, frozen]), lr=1.0, coefficient_rate=0.5)
    assert [(group["lr"], group["params"][0] is mine.table) for group in groups] == [(0.5, True), (1.0, False)]
    assert [len(group["params"]) for group in groups] == [1, 1]
    with pytest.raises(ValueError, match="coefficient_rate must be positive and finite, got 0"):
        parameter_groups(mine, lr=1.0, coefficient_rate=0.0)
    with pytest.raises(ValueError, match="weight_decay must be finite"):
        parameter_groups(mine, lr=1.0, weight_decay=-1.0)


def test_the_penalty_is_the_sum_of_all_changes_of_slope() -> None:
    model = nn.Sequential(*(tnn.LinearSpline(3, knots=6, width=0.5) for _ in range(2)))
    torch.manual_seed(0)
    with torch.no_grad():
        for spline in model:
            spline.coefficients.uniform_(-0.3, 0.3)
    expected = 0.0
    for spline in model:
        # between neighbouring knots the output is straight: slopes from values at points inside each piece
        edges = torch.linspace(-0.5, 0.5, 6)
        low, high = (spline((edges[:-1] + share * 0.2)[:, None].expand(-1, 3)) for share in (0.25, 0.75))
        slopes = (high - low).double() / 0.1
        expected += slopes.detach().diff(dim=0).abs().sum().item()
    added = penalty(model, OptimizerConfig(tv2=0.25))
    assert added is not None
    assert float(added.detach()) == pytest.approx(0.25 * expected, rel=1e-4)
    added.backward()
    assert all(spline.coefficients.grad.abs().sum() > 0 for spline in model)
    assert penalty(model, OptimizerConfig()) is None
    assert penalty(nn.Linear(2, 2), OptimizerConfig(tv2=1.0)) is None


def test_configs_from_before_the_rates_replay_as_they_were() -> None:
    new = to_plain(OptimizerConfig())
    old = {name: value for name, value in new.items() if name not in ("coefficient_rate", "scale_rate", "tv2")}
    config = from_plain(OptimizerConfig, old, source="config.json")
    assert (config.coefficient_rate, config.scale_rate, config.tv2) == (1.0, 1.0, 0.0)
    assert from_plain(OptimizerConfig, new, source="config.json") == OptimizerConfig()
    assert len(build_optimizer(network(), config).param_groups) == 1  # as the state of an old checkpoint is numbered


@pytest.mark.parametrize("field", ["coefficient_rate", "scale_rate", "tv2"])
def test_rates_that_cannot_be_meant_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match=field.replace("_", " ")):
        OptimizerConfig(**{field: -1.0})


def test_thresholds_have_a_rate_of_their_own_and_no_decay() -> None:
    net = nn.Sequential(nn.Linear(3, 2), tnn.NActivation(2))
    config = OptimizerConfig(optimizer="sgd", momentum=0.0, lr=2.0, threshold_rate=0.25, weight_decay=0.1)
    rates = {
        id(p): (g["lr"], g["weight_decay"]) for g in build_optimizer(net, config).param_groups for p in g["params"]
    }
    assert rates[id(net[1].thresholds)] == (0.5, 0.0)
    assert rates[id(net[0].weight)] == (2.0, 0.1)
