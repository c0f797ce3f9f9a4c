"""Weights that have no value, or another one at each reading, and errors that print nothing beside the refusal."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut.certify import audit, interval_bound, lipschitz_bound, robustness


class Noisy(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * (1 + torch.rand(()))


def certified(model: nn.Module) -> Any:
    return robustness(model, torch.zeros(1, 2), torch.tensor([0]))


def boxed(model: nn.Module) -> Any:
    return interval_bound(model, torch.zeros(1, 2), torch.ones(1, 2))


@pytest.mark.parametrize("certify", [lipschitz_bound, audit, certified, boxed])
def test_a_weight_that_is_random_is_refused(certify: Callable[[nn.Module], Any]) -> None:
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Noisy())
    with pytest.raises((TypeError, ValueError), match="random|another weight"):
        certify(nn.Sequential(nn.ReLU(), layer))


@pytest.mark.parametrize("certify", [lipschitz_bound, audit, certified, boxed])
def test_a_weight_without_values_is_refused_by_name(certify: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(ValueError, match=r"'1\.weight'.*meta"):
        certify(nn.Sequential(nn.ReLU(), nn.Linear(2, 2, device="meta")))


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.layer(x).view(-1, 3, 4).split((1, 2), 2)
        return left + right


def test_a_shape_that_does_not_fit_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="input_shape"):
        lipschitz_bound(Halves())
    assert capfd.readouterr() == ("", "")
