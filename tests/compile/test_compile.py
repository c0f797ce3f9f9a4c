"""torch.compile(fullgraph=True) of forward and backward, for every layer and activation."""

import pytest
import torch

from taut import nn as tnn
from taut.testing import assert_compiles

pytestmark = pytest.mark.compile
ACTIVATIONS = {name: cls(2) if name in ("group-sort", "max-out") else cls() for name, cls in tnn.activations().items()}


@pytest.mark.parametrize("name", tnn.linears())
def test_linear(name: str) -> None:
    torch.manual_seed(0)
    layer = tnn.linears()[name](6, 4)
    assert_compiles(layer, torch.randn(5, 6, requires_grad=True), backend="aot_eager")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    assert_compiles(ACTIVATIONS[name], torch.randn(5, 8, requires_grad=True), backend="aot_eager")


def test_network_through_the_default_compiler() -> None:
    torch.manual_seed(0)
    net = tnn.Sequential(tnn.BjorckLinear(8, 12), tnn.MaxMin(), tnn.CholeskyLinear(12, 12), tnn.UnitNormLinear(12, 3))
    assert_compiles(net, torch.randn(5, 8, requires_grad=True))
