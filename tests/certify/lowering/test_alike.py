"""What is lowered is one function of each sample: the same in every batch, and at every call."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from taut.certify import lower, robustness, verify


class Called(nn.Module):
    """Some function of a linear layer's output and the input."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x), x)


@pytest.mark.parametrize(
    "function",
    [
        lambda y, x: y * x.shape[0],
        lambda y, x: y + x.size(0),
        lambda y, x: y / x.shape[0],
        lambda y, x: y / x.numel(),
        lambda y, x: y[:, x.shape[0] - 1 :],
        lambda y, x: y.roll(x.shape[0], 1),
        lambda y, x: F.pad(y, (0, x.shape[0])),
        lambda y, x: y.clamp(max=x.shape[0]),
        lambda y, x: y.view(2, -1),
    ],
)
def test_what_depends_on_the_size_of_the_batch_is_refused(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"how many samples|mixes the samples|does not take"):
        lower(Called(function), (4,))


@pytest.mark.parametrize(
    "function",
    [
        lambda y, x: y.view(x.shape[0], -1),
        lambda y, x: y.reshape(x.size(0), 2, x.shape[1] // 2).flatten(1),
        lambda y, x: y / x.shape[1],
        lambda y, x: y.view(x.numel() // 4, 4),
    ],
)
def test_sizes_that_only_keep_samples_apart_are_taken(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    model, x = Called(function).double(), torch.randn(5, 4, dtype=torch.float64)
    assert torch.allclose(lower(model, (4,))(x), model(x), rtol=0.0, atol=1e-14)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.calls += 1
        return weight * self.calls


class Halves(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def test_a_weight_that_changes_from_call_to_call_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    parametrize.register_parametrization(model[1], "weight", Halves())
    lower(model, (4,))
    parametrize.register_parametrization(model[0], "bias", Counts())
    with pytest.raises(ValueError, match=r"'0' .*another bias whenever it is read"):
        lower(model, (4,))


class Pieces(nn.Module):
    """Uses one of its pieces only; another is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.linear = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        first, second, _ = x.split([4, 0, 2], 1)
        return self.linear(torch.cat((first, second), 1))


def test_what_the_output_does_not_need_is_left_out() -> None:
    x = torch.randn(5, 6)
    model = Pieces()
    model.unused = nn.Linear(6, 6)
    program = lower(model, (6,))
    assert [node.operation.op for node in program.nodes] == ["take", "linear"]
    assert torch.equal(program(x.double()), model.double()(x.double()))
    labels = program(x.double()).argmax(1)
    verify(robustness(model, x, labels), model, x, labels)


@pytest.mark.parametrize(
    "function",
    [
        lambda y, x: y / 2.0**-1060,
        lambda y, x: y / 1e-310,
        lambda y, x: y / 0,
        lambda y, x: y * math.inf,
        lambda y, x: y * 10**400,
        lambda y, x: y + math.nan,
        lambda y, x: y.clamp(math.nan, 1.0),
    ],
)
def test_constants_beyond_float64_are_refused(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises((TypeError, ValueError), match="finite|numbers"):
        lower(Called(function), (4,))
