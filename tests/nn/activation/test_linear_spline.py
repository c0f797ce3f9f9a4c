"""Every start, odd and even numbers of knots, clipped and free slopes, against numpy's interpolation."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import taut
from taut.nn import LinearSpline
from taut.testing import ActivationContract


class TestLinearSpline(ActivationContract):
    preserves_gradient_norm = False
    exact = False
    every_entry = False  # knots beyond the inputs have none
    shapes = ((3, 8), (2, 8, 3), (1, 8, 3, 2))  # derivatives of the second order are checked entry by entry
    bad_arguments = (
        {"channels": 0},
        {"channels": True},
        {"knots": 1},
        {"knots": True},
        {"width": 0.0},
        {"width": math.inf},
        {"init": "cubic"},
    )
    bad_shapes = ((2, 7), (3, 16, 2))
    knots = 7

    def make(self, **options: Any) -> LinearSpline:
        module = LinearSpline(**({"channels": 8, "knots": self.knots, "width": 2.0} | options))
        generator = torch.Generator().manual_seed(self.knots)
        with torch.no_grad():  # half of the differences are beyond their limit
            module.coefficients.copy_(0.6 * torch.randn(module.coefficients.shape, generator=generator))
            module.log_scale.copy_(0.5 * torch.randn(8, generator=generator))
        return module

    def oracle(self, vector: list[float]) -> list[float]:
        module = self.make()
        coefficients, scales = module.coefficients.double().detach().numpy(), module.log_scale.double().exp().tolist()
        spacing = 4.0 / (self.knots - 1)
        grid = np.linspace(-2.0, 2.0, self.knots)
        found = []
        for row, a, x in zip(coefficients, scales, vector, strict=True):
            rises = np.clip(np.diff(row), -spacing, spacing)
            values = np.concatenate([[0.0], np.cumsum(rises)])
            values += row.mean() - values.mean()
            outside = min(0.0, a * x + 2) * rises[0] + max(0.0, a * x - 2) * rises[-1]
            found.append((float(np.interp(a * x, grid, values)) + outside / spacing) / a)
        return found


class TestEvenNumberOfKnots(TestLinearSpline):
    knots = 4


class TestTwoKnots(TestLinearSpline):
    knots = 2


FUNCTIONS = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "absolute": torch.abs,
    "zero": torch.zeros_like,
    "maxmin": lambda x: torch.stack([x[:, 0].abs(), x[:, 1], x[:, 2].abs()], 1),
}


@pytest.mark.parametrize("init", FUNCTIONS)
@pytest.mark.parametrize("knots", [3, 51, 52])
def test_starts(init: str, knots: int) -> None:
    module = LinearSpline(3, knots=knots, width=2.0, init=init).double()
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)[:, None].expand(-1, 3)
    tolerance = 1e-6 if knots % 2 else module.spacing / 2 + 1e-6  # with an even number there is no knot at 0
    difference = (module(x) - FUNCTIONS[init](x)).detach().abs()
    assert float(difference.max()) <= tolerance
    assert float(difference[x.abs() >= module.spacing].max()) <= 1e-6 + (
        0 if knots % 2 or init == "zero" else tolerance
    )
    assert taut.lipschitz_bound(module) == 1.0


def test_tv2_is_the_sum_of_the_changes_of_slope() -> None:
    module = LinearSpline(4, knots=5, width=1.0, init="absolute")
    assert abs(module.tv2().item() - 4 * 2) < 1e-5
    with torch.no_grad():
        module.coefficients.copy_(torch.tensor([0.0, 0.25, 0.5, 9.0, 9.0]))  # slopes 1/2, 1/2, 1 (clipped), 0
    assert abs(module.tv2().item() - 4 * (0.5 + 1.0)) < 1e-5
    module.tv2().backward()
    assert bool(module.coefficients.grad.ne(0).any())


def test_groups_for_optimizers_hold_every_parameter_once() -> None:
    module = LinearSpline(4)
    groups = [*module.coefficient_parameters(), *module.scale_parameters()]
    assert [id(p) for p in groups] == [id(p) for p in module.parameters()]


def test_the_scale_stays_away_from_zero_and_infinity() -> None:
    module = LinearSpline(2, knots=3, init="absolute").double()
    x = torch.linspace(-3, 3, 9, dtype=torch.float64)[:, None].expand(-1, 2)
    for value in (-1e3, 1e3, 1e30):
        with torch.no_grad():
            module.log_scale.fill_(value)
        module.zero_grad()
        y = module(x)
        assert float((y - x.abs()).detach().abs().max()) <= 1e-9
        (y * x).sum().backward()
        assert bool(module.log_scale.grad.isfinite().all())
