"""Classifiers by name: what is built, what is promised and what is not, what is refused."""

import math

import pytest
import torch
from torch import nn

import taut
from taut import models
from taut import nn as tnn
from taut.models import ClassifierOptions


def build(name: str, shape: tuple[int, ...] = (1, 8, 8), **options) -> nn.Module:
    torch.manual_seed(0)
    return models.classifiers()[name](shape, 10, ClassifierOptions(**{"width": 8, "depth": 1, **options}))


def shapes(net: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(m.weight.shape) for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]


def test_lenet_has_the_published_sizes_on_mnist() -> None:
    net = build("lenet", (1, 28, 28), width=50, head="bjorck")
    assert shapes(net) == [(10, 1, 5, 5), (20, 10, 5, 5), (50, 320), (10, 50)]
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    plain = build("lenet", (1, 28, 28), width=50, head="linear", linear="linear", convolution="conv", activation="relu")
    assert sum(p.numel() for p in plain.parameters()) == 260 + 5020 + 16050 + 510  # counted by hand


@pytest.mark.parametrize(("side", "features"), [(8, 2 * 2), (15, 3 * 3), (16, 1), (32, 5 * 5)])
def test_lenet_pads_small_pictures_only(side: int, features: int) -> None:
    net = build("lenet", (3, side, side))
    assert shapes(net)[2] == (8, 20 * features)
    assert net(torch.zeros(1, 3, side, side)).shape == (1, 10)


def test_lipschitz_lenet_keeps_its_constant_and_the_plain_one_promises_nothing() -> None:
    net = build("lenet", lipschitz=3.0, head="bjorck")
    assert isinstance(net, tnn.Sequential)
    assert taut.lipschitz_bound(net, input_shape=(1, 8, 8)) <= 3 * (1 + 1e-4)
    x, y = torch.rand(2, 64, 1, 8, 8, dtype=torch.float64).unbind()
    stretch = (net.double()(x) - net(y)).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert float(stretch.detach().amax()) <= 3 * (1 + 1e-6)
    plain = build("lenet", convolution="conv", linear="linear", head="linear", lipschitz=3.0)
    assert not isinstance(plain, tnn.Sequential)


@pytest.mark.parametrize("head", ["linear", "unit-norm"])
def test_the_factor_multiplies_the_logits_with_and_without_constraints(head: str) -> None:
    x = torch.rand(4, 1, 8, 8)
    once, thrice = (build("mlp", linear="linear", head=head, lipschitz=k) for k in (1.0, 3.0))
    assert torch.allclose(thrice(x), 3 * once(x), atol=1e-6)
    assert torch.allclose(tnn.fold(thrice)(x), 3 * once(x), atol=1e-6)


def test_bjorck_steps_reach_every_bjorck_layer() -> None:
    net = build("mlp", depth=2, head="bjorck", bjorck_steps=2)
    steps = [m.parametrizations.weight[0].steps for m in net.modules() if isinstance(m, tnn.BjorckLinear)]
    assert steps == [2, 2, 2]


def test_dropout_stretches_in_training_and_is_nothing_in_evaluation() -> None:
    net = build("mlp", depth=2, width=64, dropout=0.5, head="bjorck")
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    with pytest.raises(TypeError, match=r"\(Dropout\) in training mode has no Lipschitz rule"):
        taut.lipschitz_bound(net)
    with pytest.raises(TypeError, match="training mode it draws random numbers"):
        taut.certify.lower(tnn.fold(net), (1, 8, 8))
    with pytest.raises(TypeError, match="Dropout.* has no Lipschitz constraint"):
        tnn.Sequential(tnn.BjorckLinear(4, 4), nn.Dropout(0.5))
    assert taut.lipschitz_bound(net.eval()) <= 1 + 1e-5
    without = build("mlp", depth=2, width=64, head="bjorck")
    without.load_state_dict(dict(zip(without.state_dict(), net.state_dict().values(), strict=True)))
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(net(x), without(x))
    assert torch.equal(tnn.fold(net)(x), tnn.fold(without)(x))
    # In training mode one layer of dropout alone doubles what it keeps: the refusals above are needed.
    drop = nn.Dropout(0.5)
    difference = torch.zeros(1, 64).index_fill(1, torch.arange(64), 1.0)
    assert float(drop(difference).amax()) == 2.0


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("mlp", {"channels": 4}, "this architecture has no channels to choose, got 4"),
        ("mlp", {"convolution": "rko"}, "this architecture has no convolution to choose, got 'rko'"),
        ("mlp", {"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
        ("mlp", {"bjorck_steps": -1}, "bjorck_steps must not be negative, got -1"),
        ("mlp", {"linear": "conv"}, "linear must be one of .*linear, got 'conv'"),
        ("mlp", {"linear": "linear", "head": "linear", "lipschitz": math.inf}, "lipschitz must be a positive finite"),
        ("lenet", {"convolution": "linear"}, "convolution must be one of"),
        ("lenet", {"channels": -1}, "channels must be at least 1, got -1"),
        ("lenet", {"channels": 3}, "3"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build(name, **options)


@pytest.mark.parametrize("shape", [(64,), (1, 3, 28)])
def test_lenet_takes_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lenet takes pictures"):
        build("lenet", shape)
