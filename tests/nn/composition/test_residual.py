from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import taut
from taut import nn as tnn
from taut.nn import ConvexResidual, Residual, ScaledResidual
from taut.testing import MapContract

RESIDUALS: list[Callable[[nn.Module], nn.Module]] = [Residual, ConvexResidual, ScaledResidual]


def branch(width: int) -> nn.Module:
    return tnn.Sequential(tnn.BjorckLinear(width, 2 * width), tnn.MaxMin(), tnn.BjorckLinear(2 * width, width))


class TestResidual(MapContract):
    cases = (({"width": 5}, (3, 5)), ({"width": 1}, (2, 1)))

    def make(self, **options: Any) -> Residual:
        return Residual(branch(options["width"]))


class TestConvexResidual(MapContract):
    cases = (({"width": 5, "share": 0.9}, (3, 5)),)
    bad_arguments = ({"share": 0.0}, {"share": 1.0}, {"share": -0.5})

    def make(self, **options: Any) -> ConvexResidual:
        return ConvexResidual(branch(options.pop("width")), **options)


class TestScaledResidual(MapContract):
    cases = (({"width": 5, "scale": 0.1}, (3, 5)), ({"width": 4, "scale": -2.0}, (3, 4)))
    bad_arguments = ({"scale": float("inf")}, {"scale": float("nan")})

    def make(self, **options: Any) -> ScaledResidual:
        return ScaledResidual(branch(options.pop("width")), **options)


@pytest.mark.parametrize("block", RESIDUALS)
@pytest.mark.parametrize("inner", [nn.Identity(), tnn.Scale(-1.0)])
def test_the_constant_is_reached_and_proven(block: Callable[[nn.Module], nn.Module], inner: nn.Module) -> None:
    """The bound is 1 for any branch, and x itself reaches it when the branch is the identity."""
    module = block(inner)
    bound = taut.lipschitz_bound(module, input_shape=(4,))
    assert bound == pytest.approx(1.0, abs=1e-6)
    if isinstance(inner, nn.Identity):
        x = torch.randn(2, 4)
        assert torch.allclose(module(x), x, atol=1e-6)


@pytest.mark.parametrize("block", RESIDUALS)
def test_in_linf(block: Callable[[nn.Module], nn.Module]) -> None:
    inner = tnn.Sequential(tnn.LInfLinear(4, 4), tnn.MaxMin())
    assert taut.lipschitz_bound(block(inner), norm="linf") < 1.00001
    assert taut.lipschitz_bound(taut.fold(block(inner)), norm="linf") < 1.00001


@pytest.mark.parametrize("block", RESIDUALS)
@pytest.mark.parametrize(
    "inner",
    [
        nn.Linear(4, 4),
        nn.Sequential(tnn.Abs(), nn.Linear(4, 4)),
        tnn.Sequential(tnn.BjorckLinear(4, 4), lipschitz=2.0),
        nn.Sequential(tnn.Sequential(tnn.Abs(), lipschitz=2.0)),
        tnn.UnitNormLinear(4, 4),
    ],
)
def test_branches_that_are_not_1_lipschitz_are_refused(
    block: Callable[[nn.Module], nn.Module], inner: nn.Module
) -> None:
    with pytest.raises(TypeError, match="branch"):
        block(inner)


@pytest.mark.parametrize("block", RESIDUALS)
def test_a_branch_that_changes_the_shape_is_refused(block: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 1\)"):
        block(tnn.BjorckLinear(4, 1))(torch.zeros(2, 4))


@pytest.mark.parametrize("block", RESIDUALS)
def test_in_a_chain_k_keeps_its_meaning(block: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    net = tnn.Sequential(tnn.BjorckLinear(3, 4), block(branch(4)), tnn.BjorckLinear(4, 2), lipschitz=3.0)
    for model in (net, taut.fold(net)):
        assert taut.lipschitz_bound(model) == pytest.approx(3.0, rel=1e-5)
    x = torch.randn(5, 3)
    assert torch.allclose(taut.fold(net)(x), net(x), atol=1e-5)


def test_shares_are_what_was_asked_for() -> None:
    x = torch.tensor([[-1.0, 2.0]])
    assert ConvexResidual(tnn.Abs(), share=0.25)(x).tolist() == [[0.5, 2.0]]
    assert ScaledResidual(tnn.Abs(), scale=3.0)(x).tolist() == [[0.5, 2.0]]
    assert Residual(tnn.Abs())(x).tolist() == [[0.0, 2.0]]


def test_saturated_gates_stay_sound() -> None:
    module = ConvexResidual(branch(4)).double()
    for value in (-1e4, -40.0, 40.0, 1e4):
        with torch.no_grad():
            module.gate.fill_(value)
        assert taut.lipschitz_bound(module) <= 1 + 1e-9
        output: Tensor = module(torch.randn(2, 4, dtype=torch.float64))
        assert bool(output.isfinite().all())
