"""Few Björck steps: bounded by 1 at every number, and on the way to the polar factor."""

import pytest
import torch

import taut
from taut import nn as tnn
from taut.functional import bjorck_steps, polar_factor

EPS = float(torch.finfo(torch.float64).eps)


def singular(weight: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(weight.double())


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (6, 6), (1, 5)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_no_singular_value_leaves_the_unit_interval(shape: tuple[int, int], scale: float) -> None:
    weight = scale * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for steps in (0, 1, 2, 5):
        assert float(singular(bjorck_steps(weight, steps=steps)).amax()) <= 1 + 20 * EPS


def test_each_step_is_the_scalar_map_on_singular_values_and_the_limit_is_the_polar_factor() -> None:
    weight = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    unchanged = bjorck_steps(weight, steps=0)
    assert torch.allclose(unchanged / unchanged.norm(), weight / weight.norm(), rtol=1e-13, atol=0)
    values = singular(unchanged)
    for steps in range(1, 6):
        values = 1.5 * values - 0.5 * values**3
        assert torch.allclose(singular(bjorck_steps(weight, steps=steps)), values, rtol=1e-12, atol=0)
    u, _, vh = torch.linalg.svd(weight, full_matrices=False)
    assert torch.allclose(bjorck_steps(weight, steps=40), u @ vh, rtol=0, atol=1e-12)
    assert torch.allclose(polar_factor(weight), u @ vh, rtol=0, atol=1e-12)


def test_zero_stays_zero_and_gradients_are_those_of_the_steps() -> None:
    assert not bjorck_steps(torch.zeros(3, 2), steps=3).any()
    weight = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: bjorck_steps(w, steps=2), weight)
    assert torch.autograd.gradgradcheck(lambda w: bjorck_steps(w, steps=1), weight)
    with pytest.raises(ValueError, match="steps must not be negative, got -1"):
        bjorck_steps(weight, steps=-1)


def test_a_layer_of_few_steps_is_bounded_and_its_free_weight_loads_into_the_limit() -> None:
    torch.manual_seed(0)
    few, limit = tnn.BjorckLinear(8, 5, steps=1), tnn.BjorckLinear(8, 5)
    with torch.no_grad():
        few.parametrizations.weight.original.add_(torch.randn(5, 8))
    assert taut.lipschitz_bound(few) <= 1 + 1e-6
    assert float(singular(few.weight.detach())[-1]) < 0.99
    limit.load_state_dict(few.state_dict())
    assert torch.allclose(singular(limit.weight.detach()), torch.ones(5, dtype=torch.float64), atol=1e-6)
    for steps in (0, -1, True):
        with pytest.raises(ValueError, match="steps must be a positive integer"):
            tnn.BjorckLinear(3, 3, steps=steps)
