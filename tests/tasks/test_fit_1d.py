"""One-dimensional fits: the functions, the batch of networks, what can be represented."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.errors import UsageError
from taut.tasks.fit_1d.config import Config, NetworksConfig, TargetConfig
from taut.tasks.fit_1d.functions import names, target
from taut.tasks.fit_1d.kinds import LINEARS, activation_names, network, seeded_network
from taut.tasks.fit_1d.learner import FitLearner, cell_name, even_points, stack_of
from taut.tasks.fit_1d.stack import Stack
from taut.training.engine import EngineConfig, launch
from taut.training.optimizers import OptimizerConfig

EPS = torch.finfo(torch.float64).eps
SIZES = {"width": 10, "depth": 3, "group_size": 5}


@pytest.mark.parametrize("name", names())
def test_targets_are_1_lipschitz_with_mean_0(name: str) -> None:
    function, count = target(name, seed=3), 200_000
    x = even_points(count)
    y = function(x)
    slopes = y.diff() / x.diff()
    assert float(slopes.abs().max()) <= 1 + 4 * EPS * count  # a difference of values of size 1, over one of 1/count
    # the midpoint rule is exact on straight pieces, and off by a square of a point's distance where they meet
    assert abs(float(y.mean())) <= 25 / count**2 + 4 * EPS
    assert float(y.std()) > 0.02
    wanted = {"f1": {-1, 1}, "f2": {-1, 0, 1}, "f4": {-1, 1}, "f4-sawtooth": {-1, 1}}.get(name)
    if wanted is not None:
        straight = slopes[1:-1][(slopes.diff()[:-1].abs() < 1e-9) & (slopes.diff()[1:].abs() < 1e-9)]
        assert set(straight.round().int().tolist()) == wanted
        assert float((straight - straight.round()).abs().max()) < 1e-9


def test_targets_are_the_published_functions() -> None:
    x = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    assert torch.allclose(target("f3")(x), torch.cos(7 * math.pi * x) / (7 * math.pi), rtol=0, atol=4 * EPS)
    t = 1 / 20
    threshold = torch.where(x < -t, x + 2 * t, torch.where(x > t, x - 2 * t, -x))  # odd: its mean is 0
    assert torch.allclose(target("f4")(x), threshold, rtol=0, atol=1e-12)
    middle = x.abs() < 3 * t
    sawtooth = target("f4-sawtooth")
    assert torch.allclose(sawtooth(x)[middle], threshold[middle], rtol=0, atol=1e-12)
    assert torch.allclose(sawtooth(x[:-200] + 4 * t), sawtooth(x[:-200]), rtol=0, atol=1e-12)
    for name, knots in (("f1", 9), ("f2", 9), ("random-spline", 9), ("f4", 2), ("f4-sawtooth", 20)):
        slopes = target(name, seed=1)(even_points(20_000)).diff() * 10_000
        bends = (slopes.diff().abs() > 1e-6).nonzero().flatten()
        assert int((bends.diff() > 2).sum()) + 1 == knots, name  # a knot between two points bends two differences
    assert not torch.equal(target("f1", seed=0)(x), target("f1", seed=1)(x))
    with pytest.raises(ValueError, match="function must be one of f1, f2, f3"):
        target("f5")


@pytest.mark.parametrize("activation", activation_names())
def test_a_batch_of_networks_is_as_many_networks(activation: str) -> None:
    """Values, gradients, and each network taken out again, for both kinds of linear layers."""
    for linear in LINEARS:
        alone = [seeded_network(5, k, activation, linear, **SIZES).double() for k in range(3)]
        stack = Stack(alone)
        x = even_points(40).unsqueeze(1) * torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
        weight = torch.linspace(-1, 2, 40, dtype=torch.float64).unsqueeze(1)
        values = stack(x)
        (values * weight).sum().backward()
        for k, single in enumerate(alone):
            expected = single(x[k])
            (expected * weight).sum().backward()
            assert torch.allclose(values[k], expected, rtol=0, atol=1e-12)
            for (name, one), many in zip(single.named_parameters(), stack.networks.parameters(), strict=True):
                assert one.grad is not None, name
                assert many.grad is not None, name
                scale = max(1.0, float(one.grad.abs().max()))
                assert float((many.grad[k] - one.grad).abs().max()) <= 1e-9 * scale, name
            taken = stack.model(k, network(activation, linear, **SIZES).double())
            assert torch.equal(taken(x[k]), expected)


def _config(**networks: object) -> Config:
    return Config(
        target=TargetConfig(points=40, batch_size=10),
        networks=NetworksConfig(**networks),
        optimizer=OptimizerConfig(epochs=3, lr=0.02, tv2=1e-3),
        engine=EngineConfig(accelerator="cpu", precision="64-true"),
    )


def _trained(config: Config, models: int, steps: int) -> FitLearner:
    config = replace(config, networks=replace(config.networks, models=models))
    fabric = launch(config.engine)
    cells = nn.ModuleDict({cell_name(*cell): stack_of(config, *cell) for cell in config.networks.cells})
    learner = FitLearner(config, cells, fabric)
    for step in range(steps):
        learner.update(step)
    return learner


def test_a_network_is_trained_as_it_would_be_alone() -> None:
    """Network 0 does not notice those beside it: neither in its points, nor in its rate, nor in its penalty."""
    config = _config(activations=("linear-spline", "max-min"), linears=("bjorck",))
    many, one = (_trained(config, models, 14) for models in (3, 1))
    assert many.steps == 2 * 3 * 4
    for name in ("linear-spline/bjorck", "max-min/bjorck"):
        moved = stack_of(config, *name.split("/")).networks.state_dict()
        for key, value in one.evaluated(name).networks.state_dict().items():
            beside = many.evaluated(name).networks.state_dict()[key]
            assert torch.allclose(beside[0], value[0], rtol=0, atol=1e-9)
            assert not torch.allclose(beside[0], moved[key][0].double(), rtol=0, atol=1e-6), key


def test_splines_have_rates_of_their_own_and_their_penalty() -> None:
    config = _config(activations=("linear-spline",), linears=("bjorck",))
    learner = _trained(config, 2, 1)
    (optimizer,) = learner.optimizers.values()
    assert sorted(group["rate_factor"] for group in optimizer.param_groups) == [1 / 40, 1 / 4, 1.0]
    stack = learner.evaluated("linear-spline/bjorck")
    found = stack.penalties(config.optimizer)
    for k in range(2):
        single = stack.model(k, network("linear-spline", "bjorck", **SIZES).double())
        splines = [module for module in single if isinstance(module, tnn.LinearSpline)]
        expected = sum(spline.tv2().detach() for spline in splines)
        assert float(found[k].detach()) == pytest.approx(1e-3 * float(expected), rel=1e-12)
    assert stack.penalties(replace(config.optimizer, tv2=0.0)) is None


def test_what_cannot_have_slopes_1_and_minus_1() -> None:
    """Trained for the largest difference of two slopes, abs reaches 2 and one-sided activations stay far below."""
    x, reached = even_points(30).float()[None, :, None].expand(4, -1, 1), {}
    for activation in ("relu", "concat-relu", "abs"):
        stack = Stack([seeded_network(0, k, activation, "bjorck", **SIZES) for k in range(4)])
        optimizer = torch.optim.Adam(stack.parameters(), 0.05)
        for _ in range(50):
            slopes = stack(x).squeeze(-1).diff() * 15
            optimizer.zero_grad()
            (slopes.amin(1) - slopes.amax(1)).sum().backward()
            optimizer.step()
        reached[activation] = float((slopes.amax(1) - slopes.amin(1)).detach().max())
    assert reached["relu"] < 1.5 < reached["concat-relu"] < 1.9 < 1.95 < reached["abs"] < 2.0001


def test_activations_that_do_not_fit_are_one_sentence() -> None:
    for options, sentence in (
        ({"width": 9}, "does not fit networks of width 9"),
        ({"group_size": 3, "activations": ("group-sort",)}, "group-sort does not fit networks of width 10"),
        ({"models": 0}, "models must be at least 1, got 0"),
        ({"activations": ()}, "activations must name at least one"),
        ({"linears": ("bjorck", "bjorck")}, "linears must differ"),
    ):
        with pytest.raises(UsageError, match=sentence):
            NetworksConfig(**options)
    with pytest.raises(UsageError, match="batch-size must be between 1 and the 5 points"):
        TargetConfig(points=5)
