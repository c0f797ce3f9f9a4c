"""The multilayer perceptron keeps its Lipschitz promise for every choice of layer, and refuses what cannot be built."""

import pytest
import torch

from taut import certify, models
from taut import nn as tnn

L2_LAYERS = sorted(set(tnn.linears()) - {"linf", "linf-dist", "sort", "unit-norm"})
ROUNDING = 1e-5
"""Float32 evaluation of a few layers; the layers themselves are orthogonal to 1e-6."""


@pytest.mark.parametrize("linear", L2_LAYERS)
@pytest.mark.parametrize("activation", tnn.activations())
def test_each_logit_is_lipschitz(linear: str, activation: str) -> None:
    torch.manual_seed(0)
    model = models.mlp((1, 4, 4), 3, width=12, depth=2, linear=linear, activation=activation, lipschitz=2.5)
    x, y = torch.rand(200, 1, 4, 4), torch.rand(200, 1, 4, 4)
    change = (model(x) - model(y)).abs().amax(dim=1)
    assert (change <= 2.5 * (x - y).flatten(1).norm(dim=1) * (1 + ROUNDING)).all()


@pytest.mark.parametrize("linear", L2_LAYERS)
def test_the_proven_constant_with_a_constrained_head_is_the_one_asked_for(linear: str) -> None:
    torch.manual_seed(0)
    model = models.mlp((1, 4, 4), 3, width=12, depth=2, linear=linear, head=linear, lipschitz=2.5)
    assert certify.lipschitz_bound(model) <= 2.5 * (1 + 1e-4)


def test_the_linf_network_is_lipschitz_in_linf() -> None:
    torch.manual_seed(0)
    model = models.mlp((6,), 3, width=12, depth=2, linear="linf", head="linf")
    assert certify.lipschitz_bound(model, norm="linf") <= 1 + ROUNDING


def test_a_narrowing_activation_is_followed_by_a_narrower_layer() -> None:
    model = models.mlp((6,), 3, width=12, depth=2, activation="max-out", group_size=3)
    sizes = [(m.in_features, m.out_features) for m in model if isinstance(m, torch.nn.Linear)]
    assert sizes == [(6, 12), (4, 12), (4, 3)]


def test_without_hidden_layers_it_is_linear() -> None:
    assert len(models.mlp((6,), 3, depth=0)) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"depth": -1}, "depth must not be negative, got -1"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"shape": (0, 4)}, "positive sizes"),
        ({"linear": "dense"}, "linear must be one of .*bjorck.*, got 'dense'"),
        ({"activation": "gelu"}, "activation must be one of .*max-min.*, got 'gelu'"),
        ({"activation": "group-sort", "group_size": 5}, "5"),
        ({"width": 7}, "7"),
        ({"lipschitz": 0.0}, "lipschitz must be a positive finite number"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_value(options: dict, reason: str) -> None:
    arguments = {"shape": (4,), "classes": 3, "width": 12} | options
    with pytest.raises(ValueError, match=reason):
        models.mlp(arguments.pop("shape"), arguments.pop("classes"), **arguments)
