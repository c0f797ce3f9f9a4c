"""Constants of torch's activations are never below the steepest slope found by search, and None where there is none."""

import pytest
import torch
from torch import nn

from taut import nn as tnn

SLOPED = [
    *(nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.Softshrink(), nn.Softsign(), nn.LogSigmoid(), nn.Tanh(), nn.Sigmoid()),
    *(nn.GELU(), nn.SiLU(), nn.Mish(), nn.LeakyReLU(0.1), nn.LeakyReLU(-3.0), nn.ELU(), nn.ELU(2.5), nn.CELU()),
    *(nn.CELU(0.3), nn.Identity(), tnn.Scale(-2.0)),
]


@pytest.mark.parametrize("module", SLOPED, ids=repr)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_constant_is_above_every_slope_and_close_to_the_largest(module: nn.Module, norm: str) -> None:
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    slopes = (module(x).diff() / x.diff()).abs()
    constant = tnn.constant(module, norm)
    assert constant is not None
    assert float(slopes.max()) <= constant * (1 + 1e-9)
    assert float(slopes.max()) >= 0.98 * constant


@pytest.mark.parametrize(
    "module",
    [
        nn.Hardshrink(),
        nn.Softplus(threshold=0.1),
        nn.CELU(-1.0),
        nn.Dropout(),
        nn.GELU(approximate="tanh"),
        nn.Softmax(1),
    ],
    ids=repr,
)
def test_what_jumps_or_has_no_rule_is_none(module: nn.Module) -> None:
    assert tnn.constant(module, "l2") is None


def test_dropout_has_a_constant_in_evaluation_only() -> None:
    assert tnn.constant(nn.Dropout().eval(), "l2") == 1.0


def test_subclasses_may_compute_something_else() -> None:
    class Steep(nn.ReLU):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return 100 * super().forward(input)

    assert tnn.constant(Steep(), "l2") is None


def test_other_norms_are_refused() -> None:
    with pytest.raises(ValueError, match="'l1'"):
        tnn.constant(nn.ReLU(), "l1")
