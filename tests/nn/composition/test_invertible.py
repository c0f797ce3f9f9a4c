import math
from typing import Any

import pytest
import torch
from torch import nn

import taut
from taut import nn as tnn
from taut.functional import inverse_error_bound, inverse_steps, solve_contraction
from taut.nn import InvertibleResidual
from taut.testing import MapContract


def branch(width: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return tnn.Sequential(tnn.BjorckLinear(width, 2 * width), tnn.MaxMin(), tnn.BjorckLinear(2 * width, width))


class TestInvertibleResidual(MapContract):
    cases = (({"width": 5}, (3, 5)),)
    constant = 1.9
    bad_arguments = ({"lipschitz": 1.0}, {"lipschitz": 0.0}, {"lipschitz": -0.5})

    def make(self, **options: Any) -> InvertibleResidual:
        return InvertibleResidual(branch(options.pop("width")), **options)


@pytest.mark.parametrize("lipschitz", [0.1, 0.9, 0.99])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_inverse_is_within_its_tolerance_both_ways(lipschitz: float, tolerance: float) -> None:
    block = InvertibleResidual(branch(), lipschitz=lipschitz).double()
    x = 10 * torch.randn(40, 5, dtype=torch.float64)
    back = block.inverse(block(x).detach(), tolerance=tolerance, max_steps=5000).detach()
    assert float((back - x).norm(dim=1).max()) <= tolerance
    y = 10 * torch.randn(40, 5, dtype=torch.float64)
    back = block(block.inverse(y, tolerance=tolerance, max_steps=5000)).detach()
    assert float((back - y).norm(dim=1).max()) <= 2 * tolerance


def test_the_worst_branch_meets_the_error_bound_tightly() -> None:
    """g(x) = -x makes the contraction as slow as it can be, and the error bound an equality."""
    block = InvertibleResidual(tnn.Scale(-1.0), lipschitz=0.9).double()
    x = torch.ones(1, 1, dtype=torch.float64)
    error = float((block.inverse(block(x), tolerance=1e-3) - x).abs())
    assert 0.8e-3 <= error <= 1e-3


def test_rounding_does_not_end_an_iteration_that_is_nearly_there() -> None:
    """-0.95 x meets the bound with equality, so that in float32 the proven steps are too few for some samples."""
    made = set()
    for size in range(1, 30):
        y = torch.tensor([[float(size)]])
        tolerance = inverse_error_bound(0.95, first_step=0.95 * size, steps=200) * (1 + 1e-7)
        found = solve_contraction(lambda x: -0.95 * x, y, contraction=0.95, tolerance=tolerance)
        assert abs(float(found.x) - 20 * size) <= tolerance + 64 * torch.finfo(torch.float32).eps * 20 * 20 * size
        made.add(found.steps - found.proven_steps)
    assert max(made) > 0


def test_the_proven_steps_are_enough_and_one_fewer_is_not() -> None:
    """g(x) = -x is as slow as the theorem allows: x = y / (1 - L), and x_k is off by L^(k+1) / (1 - L) y."""
    block = InvertibleResidual(tnn.Scale(-1.0), lipschitz=0.9).double()
    y = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    first, tolerance = 0.9 * 2.0, 1e-6
    steps = inverse_steps(0.9, first_step=first, tolerance=tolerance)
    assert 0.9**steps / 0.1 * first <= tolerance < 0.9 ** (steps - 1) / 0.1 * first
    found = block.inversion(y, tolerance=tolerance, early=False)
    assert (found.steps, found.proven_steps) == (steps, steps)
    assert float((found.x - y / (1 - 0.9)).abs().max()) <= tolerance
    assert float((found.x - y / (1 - 0.9)).abs().max()) > 0.9 * tolerance
    assert found.error_bound <= tolerance
    for k, residual in enumerate(block.inversion(y, tolerance=tolerance).residuals):
        assert residual == pytest.approx(0.9**k * first, rel=1e-9)


def test_steps_of_a_contraction_follow_the_logarithm() -> None:
    exact = math.log(1e-6 * 0.5 / 3.0) / math.log(0.5)
    assert inverse_steps(0.5, first_step=3.0, tolerance=1e-6) == math.ceil(exact)
    assert inverse_steps(0.5, first_step=1.0, tolerance=2.5) == 0
    assert inverse_error_bound(0.5, first_step=3.0, steps=10) >= 3.0 * 2.0**-9
    assert inverse_error_bound(0.5, first_step=1.0, steps=10**5) > 0.0  # what underflows is not 0
    assert inverse_steps(0.999, first_step=1.0, tolerance=1e-9) == math.ceil(math.log(1e-12) / math.log(0.999))
    with pytest.raises(ValueError, match="takes more than 1e.06 steps"):
        inverse_steps(1 - 1e-7, first_step=1.0, tolerance=1e-6)
    for options in ({"first_step": -1.0, "tolerance": 1.0}, {"first_step": 1.0, "tolerance": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            inverse_steps(0.5, **options)
    with pytest.raises(ValueError, match="contraction must be between 0 and 1, got 1.0"):
        inverse_steps(1.0, first_step=1.0, tolerance=1.0)


def test_a_wrong_contraction_is_found_out() -> None:
    block = InvertibleResidual(tnn.Scale(-1.0), lipschitz=0.9).double()
    with pytest.raises(RuntimeError, match="known to"):
        block.inverse(torch.ones(1, 1, dtype=torch.float64), contraction=0.5)


def test_the_gradient_of_the_inverse_is_exact() -> None:
    """Against finite differences, and for a linear branch against the inverse matrix."""
    torch.manual_seed(1)
    net = tnn.Sequential(tnn.BjorckLinear(3, 6), nn.Tanh(), tnn.BjorckLinear(6, 3))
    block = InvertibleResidual(net, lipschitz=0.7).double()
    parameters = list(block.parameters())

    def inverse(y: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(_Inverse(block), given, (y,))

    names = [f"block.{name}" for name, _ in block.named_parameters()]
    y = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(inverse, (y, *parameters), rtol=1e-4, atol=1e-7)
    with torch.no_grad():
        assert not block.inverse(y).requires_grad


class _Inverse(nn.Module):
    def __init__(self, block: InvertibleResidual) -> None:
        super().__init__()
        self.block = block

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return self.block.inverse(y, tolerance=1e-13)


def test_an_inverse_that_is_not_reached_raises() -> None:
    block = InvertibleResidual(branch())
    with pytest.raises(RuntimeError, match="after 2 steps"):
        block.inverse(torch.randn(2, 5), max_steps=2)
    with pytest.raises(RuntimeError, match="tolerance 1e-12"):
        block.inverse(1e3 * torch.randn(2, 5), tolerance=1e-12, max_steps=200)


def test_one_sample_that_is_far_counts() -> None:
    block = InvertibleResidual(branch()).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    x[1] *= 1e6
    assert float((block.inverse(block(x)) - x).detach().norm(dim=1).max()) <= 1e-5
    assert block.inverse(x[:0]).shape == (0, 5)


def test_a_chain_that_counts_on_1_refuses_it_until_it_is_scaled() -> None:
    block = InvertibleResidual(branch(), lipschitz=0.5)
    with pytest.raises(TypeError, match="InvertibleResidual"):
        tnn.Sequential(block)
    assert taut.lipschitz_bound(nn.Sequential(block, tnn.Scale(1 / 1.5))) == pytest.approx(1.0, rel=1e-5)


def test_no_two_points_come_closer_than_it_promises() -> None:
    block = InvertibleResidual(branch(), lipschitz=0.7).double()
    x, y = torch.randn(2, 200, 5, dtype=torch.float64)
    ratio = (block(x) - block(y)).norm(dim=1) / (x - y).norm(dim=1)
    assert float(ratio.min()) >= 0.3
    assert float(ratio.max()) <= 1.7
