"""Boxes hold every output found by search, are reached where the answer is known, and count rounding."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import nn

from taut import nn as tnn
from taut.certify import interval_bound


def products() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), tnn.Sequential(tnn.LInfLinear(6, 8), tnn.MaxMin(), lipschitz=2.5),
        nn.Linear(8, 8), tnn.Abs(), nn.ReLU(), tnn.Scale(-0.3),
        tnn.GroupSort(4), tnn.MaxOut(2), tnn.LInfLinear(4, 3, bias=False), tnn.FullSort(),
    )  # fmt: skip


def distances() -> nn.Module:
    return nn.Sequential(tnn.LInfDistLinear(6, 9), tnn.SortLinear(9, 8, q=0.4), tnn.LInfDistLinear(8, 3, bias=False))


@pytest.mark.parametrize("build", [products, distances])
@pytest.mark.parametrize("fold", [tnn.fold, lambda model: model])
@pytest.mark.parametrize("radius", [1e-6, 0.1, 3.0])
def test_outputs_stay_inside(
    build: Callable[[], nn.Module], fold: Callable[[nn.Module], nn.Module], radius: float
) -> None:
    torch.manual_seed(0)
    model = fold(build()).double()
    centre = torch.randn(5, 6, dtype=torch.float64)
    low, high = interval_bound(model, centre - radius, centre + radius)
    reached = torch.zeros(())
    for step in range(200):
        move = torch.rand(5, 6, dtype=torch.float64) * 2 - 1
        move = move.sign() if step % 2 else move
        with torch.no_grad():
            out = model(centre + radius * move)
        assert bool((low <= out).all())
        assert bool((out <= high).all())
        reached = torch.maximum(reached, ((out - (low + high) / 2).abs() / ((high - low) / 2)).max())
    assert float(reached) > 0.3


def test_boxes_of_distances_grow_no_more_than_the_input() -> None:
    torch.manual_seed(0)
    centre = torch.randn(20, 6, dtype=torch.float64)
    low, high = interval_bound(distances(), centre - 0.1, centre + 0.1)
    assert float((high - low).max()) <= 0.2 * (1 + 1e-12)


@pytest.mark.parametrize("q", [0.0, 0.5])
def test_a_layer_of_distances_exactly(q: float) -> None:
    layer = tnn.SortLinear(2, 1, q=q, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 1.0]]))
    low, high = interval_bound(layer, torch.tensor([[-1.0, 2.0]]), torch.tensor([[0.5, 5.0]]))
    # |x_0| in [0, 1], |x_1 - 1| in [1, 4]
    nearest, farthest = (1 - q) * 1 + (1 - q) * q * 0, (1 - q) * 4 + (1 - q) * q * 1
    room = 3 * (4 * 2 + 64 + 16 / (1 - q)) * 2.0**-53 * 5  # three times the stated roundings of distances up to 5
    assert nearest - room <= float(low) <= nearest
    assert farthest <= float(high) <= farthest + room


def test_rounding_is_counted() -> None:
    """Boxes of one point, where a computed output is on the wrong side of the exact one as often as on the right."""
    torch.manual_seed(0)
    model = nn.Linear(30, 40).double()
    x = torch.randn(3, 30, dtype=torch.float64) * 1e6
    low, high = interval_bound(model, x, x)
    for k, row in enumerate(x.tolist()):
        for j, (weight, bias) in enumerate(zip(model.weight.tolist(), model.bias.tolist(), strict=True)):
            exact = sum((Fraction(w) * Fraction(v) for w, v in zip(weight, row, strict=True)), Fraction(bias))
            assert Fraction(float(low[k, j])) <= exact <= Fraction(float(high[k, j]))
    assert float((high - low).max()) < 1e-6


def test_the_absolute_value_across_zero() -> None:
    low, high = interval_bound(
        nn.Sequential(tnn.Abs()), torch.tensor([[-2.0, 1.0, -3.0]]), torch.tensor([[1.0, 2.0, -1.0]])
    )
    assert low.tolist() == [[0.0, 1.0, 1.0]]
    assert high.tolist() == [[2.0, 2.0, 3.0]]


@pytest.mark.parametrize("model", [nn.LeakyReLU(-2.0), nn.AvgPool2d(2, divisor_override=-3)])
def test_what_falls_somewhere_is_turned_around(model: nn.Module) -> None:
    centre = torch.tensor([-1.0, 0.2, 3.0, -0.1], dtype=torch.float64).view(1, 1, 2, 2)
    low, high = interval_bound(model, centre - 0.5, centre + 0.5)
    for corner in itertools.product((-0.5, 0.0, 0.5), repeat=4):
        out = model(centre + torch.tensor(corner, dtype=torch.float64).view_as(centre))
        assert bool((low <= out).all())
        assert bool((out <= high).all())


def test_what_is_no_box_is_refused() -> None:
    layer, zero = tnn.LInfDistLinear(2, 2), torch.zeros(1, 2)
    with pytest.raises(ValueError, match="above upper, got 0.5"):
        interval_bound(layer, zero + 0.5, zero)
    # the check of annotations, where it is switched on, is first, with a TypeError
    with pytest.raises((ValueError, TypeError), match="shape"):
        interval_bound(layer, zero, torch.zeros(3, 2))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            interval_bound(layer, zero, zero + bad)
    with pytest.raises(TypeError, match="Softmax"):
        interval_bound(nn.Sequential(layer, nn.Softmax(1)), zero, zero)
    with pytest.raises(ValueError, match="2 features"):
        interval_bound(layer, torch.zeros(1, 1), torch.zeros(1, 1))
