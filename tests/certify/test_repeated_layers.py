"""A layer that stands twice in one chain is executed twice, and counted twice, everywhere."""

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.certify import CertificateError, audit, interval_bound, lipschitz_bound, lower, robustness, verify

ROUNDING = 1e-5


def swapping(factor: float) -> nn.Linear:
    """x -> factor (x_2, x_1): applied once it changes the class, twice it does not."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(factor * torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    return layer


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_factor_of_a_nested_chain_counts_twice(norm: str) -> None:
    inner = tnn.Sequential(tnn.LInfLinear(4, 4) if norm == "linf" else tnn.BjorckLinear(4, 4), lipschitz=3.0)
    net = tnn.Sequential(inner, inner)
    assert lipschitz_bound(net, norm=norm) == pytest.approx(9.0, rel=ROUNDING)
    assert lipschitz_bound(taut.fold(net), norm=norm) == pytest.approx(9.0, rel=ROUNDING)
    assert lipschitz_bound(tnn.Sequential(net, net), norm=norm) == pytest.approx(81.0, rel=ROUNDING)


def test_all_that_evaluates_a_chain_executes_both() -> None:
    layer = swapping(2.0)
    net, spelt_out = nn.Sequential(layer, layer), nn.Sequential(swapping(2.0), swapping(2.0))
    inputs, labels = torch.tensor([[3.0, 1.0], [1.0, 3.0]]), torch.tensor([0, 1])
    assert [node.name for node in lower(net, (2,)).nodes] == ["0", "0"]  # one module
    found = robustness(net, inputs, labels)
    assert found.prediction.tolist() == net(inputs).argmax(1).tolist() == [0, 1]
    assert found.lipschitz_bound == robustness(spelt_out, inputs, labels).lipschitz_bound
    verify(found, net, inputs, labels)
    once = robustness(nn.Sequential(layer), inputs, torch.tensor([1, 0]))
    with pytest.raises(CertificateError):
        verify(once, net, inputs, torch.tensor([1, 0]))
    assert len(audit(net).rows) == 2
    assert audit(net).bound == pytest.approx(4.0, rel=ROUNDING)


def test_intervals_pass_both() -> None:
    layer = swapping(2.0)
    inputs = torch.tensor([[3.0, 1.0]])
    both = interval_bound(nn.Sequential(layer, layer), inputs, inputs + 0.5)
    apart = interval_bound(nn.Sequential(swapping(2.0), swapping(2.0)), inputs, inputs + 0.5)
    assert all(torch.equal(one, other) for one, other in zip(both, apart, strict=True))


def test_an_empty_place_is_refused_by_name() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net.add_module("1", None)
    with pytest.raises(TypeError, match="None"):
        lower(net, (2,))
    with pytest.raises(TypeError):
        lipschitz_bound(net)
