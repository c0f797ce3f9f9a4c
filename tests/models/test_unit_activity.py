"""Units that were planted: dead, always on, never switching, switching on a known share of the data."""

import pytest
import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.models import unit_activity


def before(activation: nn.Module, biases: list[float]) -> nn.Sequential:
    """Units x + bias, for x one number, before the activation."""
    linear = nn.Linear(1, len(biases))
    with torch.no_grad():
        linear.weight.fill_(1.0)
        linear.bias.copy_(torch.tensor(biases))
    return nn.Sequential(linear, activation)


DATA = torch.linspace(-0.95, 0.95, 20)[:, None]


def test_dead_relus_are_found() -> None:
    (found,) = unit_activity(before(nn.ReLU(), [0.0, -5.0, 5.0, -0.5]), DATA, batch_size=6)
    assert (found.name, found.kind) == ("1", "ReLU")
    assert torch.allclose(found.active, torch.tensor([0.5, 0.0, 1.0, 0.25]))
    assert torch.allclose(found.switching, torch.tensor([0.5, 0.0, 0.0, 0.25]))


@pytest.mark.parametrize("make", [lambda: tnn.MaxMin(), lambda: tnn.MaxMin().fold()], ids=["layer", "folded"])
def test_a_sort_passes_everything_on_and_may_never_switch(make) -> None:
    """Units x and 2x + b in pairs (i, i + 2): they change places where x = -b, or never within the data."""
    linear = nn.Linear(1, 4)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0], [1.0], [2.0], [2.0]]))
        linear.bias.copy_(torch.tensor([0.0, 0.0, 0.5, 9.0]))
    (found,) = unit_activity(nn.Sequential(linear, make()), DATA)
    assert found.kind == "MaxMin"
    assert found.active.tolist() == [1.0] * 4
    assert torch.allclose(found.switching, torch.tensor([0.25, 0.0, 0.25, 0.0]))


def test_losers_of_maxout_are_dead() -> None:
    (found,) = unit_activity(before(tnn.MaxOut(2), [0.0, -9.0, -9.0, 0.0]), DATA)
    assert found.active.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert found.switching.tolist() == [0.0] * 4


def test_slopes_are_pieces_too() -> None:
    (found,) = unit_activity(before(tnn.Abs(), [0.0, 5.0, 0.5]), DATA)
    assert found.active.tolist() == [1.0] * 3
    assert torch.allclose(found.switching, torch.tensor([0.5, 0.0, 0.25]))


@pytest.mark.parametrize("kind", ["LinearSpline", "NActivation", "HouseholderActivation"])
def test_learned_activations_are_seen_when_folded(kind: str) -> None:
    net = tnn.fold(nn.Sequential(nn.Linear(1, 4), getattr(tnn, kind)(4)))
    assert [layer.kind for layer in unit_activity(net, DATA)] == [kind]


def test_channels_are_units_of_convolutions_and_each_use_counts() -> None:
    conv = nn.Conv2d(1, 3, 1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.bias.copy_(torch.tensor([0.0, -9.0, 9.0]))
    relu = nn.ReLU()
    net = nn.Sequential(conv, relu, nn.Flatten(), nn.Linear(3 * 4, 2), relu)
    half = torch.tensor([-1.0, 1.0]).repeat(2).reshape(1, 1, 2, 2).expand(5, 1, 2, 2)
    first, second = unit_activity(net, half)
    assert first.active.tolist() == [0.5, 0.0, 1.0]
    assert len(second.active) == 2


def test_the_network_keeps_no_hooks_and_needs_data() -> None:
    net = before(nn.ReLU(), [0.0])
    unit_activity(net, DATA)
    assert not net[1]._forward_pre_hooks
    with pytest.raises(ValueError, match="got none"):
        unit_activity(net, DATA[:0])


def test_a_network_without_activations_has_no_rows() -> None:
    class Hidden(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x)

    assert unit_activity(nn.Sequential(nn.Linear(1, 2), Hidden()), DATA) == []
