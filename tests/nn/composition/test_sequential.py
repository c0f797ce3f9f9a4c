"""A chain is K-Lipschitz, biases and activations included, and refuses what would make K a lie."""

import math
from typing import Any

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.testing import MapContract


class TestSequential(MapContract):
    cases = (({"inner": 8, "lipschitz": 1.0}, (3, 5)), ({"inner": 4, "lipschitz": 0.5}, (2, 5)))
    bad_arguments = ({"lipschitz": 0.0}, {"lipschitz": -1.0}, {"lipschitz": math.inf})

    def make(self, **options: Any) -> tnn.Sequential:
        inner = options.pop("inner")
        return tnn.Sequential(tnn.BjorckLinear(5, inner), tnn.MaxMin(), tnn.BjorckLinear(inner, 3), **options)


@pytest.mark.parametrize("cls", [tnn.SOCConv2d, tnn.CayleyConv2d, tnn.BROConv2d, tnn.SLLConv2d])
def test_convolutions_that_are_no_single_weight_are_taken(cls: type[nn.Module]) -> None:
    chain = tnn.Sequential(cls(2, 2, 3, padding_mode="circular"), lipschitz=2.0)
    assert 1.9 < taut.lipschitz_bound(chain, input_shape=(2, 6, 6)) <= 2 * (1 + 1e-6)


@pytest.mark.parametrize("k", [0.1, 1.0, 7.5, 1000.0])
@pytest.mark.parametrize("last", ["linear", "activation"])
def test_k_scales_the_whole_function(k: float, last: str) -> None:
    torch.manual_seed(0)
    layers = [tnn.BjorckLinear(6, 8), nn.ReLU(), tnn.BjorckLinear(8, 8)] + (
        [tnn.MaxMin()] if last == "activation" else []
    )
    one, scaled = tnn.Sequential(*layers), tnn.Sequential(*layers, lipschitz=k)
    x = torch.randn(5, 6)
    assert torch.equal(scaled(x), one(x) if k == 1 else k * one(x))
    folded = taut.fold(scaled)
    assert torch.allclose(folded(x), scaled(x), rtol=1e-5, atol=1e-6 * k)
    for net in (scaled, folded):
        assert taut.lipschitz_bound(net) == pytest.approx(k, rel=1e-5)
    assert torch.equal(scaled(x), one(x) if k == 1 else k * one(x)), "fold changed the original"


def test_a_gain_of_k_is_reached() -> None:
    torch.manual_seed(0)
    net = tnn.Sequential(tnn.BjorckLinear(4, 4), tnn.MaxMin(), tnn.BjorckLinear(4, 4), lipschitz=3.0).double()
    jacobian = torch.autograd.functional.jacobian(net, torch.randn(1, 4, dtype=torch.float64)).squeeze()
    assert float(torch.linalg.matrix_norm(jacobian, ord=2)) == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize(
    "layer", [nn.Linear(2, 2), nn.LSTM(2, 2), nn.BatchNorm1d(2), nn.Hardshrink(), nn.GELU(), nn.LeakyReLU(-3.0)]
)
def test_unconstrained_layers_are_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(TypeError, match=f"layer 1 .*{type(layer).__name__}"):
        tnn.Sequential(tnn.BjorckLinear(2, 2), layer)


@pytest.mark.parametrize("k", [0, -1.0, math.inf, math.nan])
def test_impossible_constants_are_refused(k: float) -> None:
    with pytest.raises(ValueError, match=str(k)):
        tnn.Sequential(tnn.BjorckLinear(2, 2), lipschitz=float(k))


def test_slices_and_nests_like_torch() -> None:
    net = tnn.Sequential(tnn.BjorckLinear(2, 4), tnn.MaxMin(), tnn.BjorckLinear(4, 2), lipschitz=2.0)
    assert [type(m) for m in net[:2]] == [type(net[0]), tnn.MaxMin]
    nested = tnn.Sequential(net, tnn.BjorckLinear(2, 2), lipschitz=3.0)
    assert taut.lipschitz_bound(nested) == pytest.approx(6.0, rel=1e-5)
    assert taut.lipschitz_bound(taut.fold(nested)) == pytest.approx(6.0, rel=1e-5)


def test_a_layer_used_twice_is_not_scaled_twice_by_fold() -> None:
    torch.manual_seed(0)
    layer = tnn.BjorckLinear(4, 4)
    net = tnn.Sequential(layer, tnn.MaxMin(), layer, lipschitz=2.0)
    x = torch.randn(3, 4)
    assert torch.allclose(taut.fold(net)(x), net(x), atol=1e-6)


def test_a_layer_shared_between_chains_is_scaled_in_its_own_only() -> None:
    torch.manual_seed(0)
    shared = tnn.BjorckLinear(3, 3)
    net = nn.Sequential(tnn.Sequential(shared, lipschitz=5.0), tnn.Abs(), shared)
    x = torch.randn(2, 3)
    assert torch.allclose(taut.fold(net)(x), net(x), atol=1e-5)
