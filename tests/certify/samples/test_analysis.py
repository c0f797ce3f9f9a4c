"""The running analysis against exact evaluation, at the sample and in the ball; constants along paths."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import taut
from program_cases import Exact, convolved, exactly, exponential, maxmin, residual, windows
from taut import nn as tnn
from taut.certify import lower
from taut.certify.program.program import Program
from taut.certify.samples.arithmetic import FLOAT64
from taut.certify.samples.assess import SLACK, prepare


def affine(operation: Any, x: Exact) -> Exact:
    weight, bias = exactly(operation.weight), None if operation.bias is None else exactly(operation.bias)
    if operation.op == "conv":
        return convolved(x, weight, bias, operation.settings())
    return x @ weight.T + (0 if bias is None else bias)


def averaged(operation: Any, x: Exact) -> Exact:
    ones = (1,) * len(operation.kernel)
    cut = windows(x, operation.kernel, operation.stride, operation.padding, ones, Fraction(0), False)
    return cut.sum(-1) / Fraction(operation.divisor)


EXACT: dict[str, Callable[..., Exact]] = {
    "linear": affine,
    "conv": affine,
    "relu": lambda operation, x: np.maximum(x, 0),
    "max_min": lambda operation, x: maxmin(x),
    "scale": lambda operation, x: x * Fraction(operation.factor),
    "shift": lambda operation, x: x + exactly(operation.offset),
    "add": lambda operation, x, y: x + y,
    "subtract": lambda operation, x, y: x - y,
    "maximum": lambda operation, x, y: np.maximum(x, y),
    "concat": lambda operation, *xs: np.concatenate(xs, axis=operation.axis),
    "take": lambda operation, x: x.take(operation.index, operation.axis),
    "reshape": lambda operation, x: x.reshape(operation.shape),
    "sum_pool": averaged,
    "residual": residual,
    "exponential": exponential,
}


def exact_output(program: Program, x: Exact) -> Exact:
    return program.run(x, lambda place, node, values: EXACT[node.operation.op](node.operation, *values))


class Skips(nn.Module):
    """Sums, differences, extremes and a scaled shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layers[0](x).relu()
        y = x * 0.7
        x = y - self.layers[1](x)
        return torch.maximum(x, self.layers[2](y)) - self.layers[3](x).relu() + 1.5


class Pieces(nn.Module):
    """Disjoint pieces go their own ways, and meet again beside a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = nn.Linear(6, 6), nn.Linear(2, 3), nn.Linear(4, 4)
        self.last = nn.Linear(13, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        left, right = h.split([2, 4], dim=1)
        joined = torch.cat([self.left(left), self.right(right).relu()], 1)
        return self.last(torch.cat([joined, x], 1))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x).relu()) + self.layer(x)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner = nn.Conv1d(1, 2, 3, padding=1), nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular")
        self.up = nn.Conv1d(4, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        skip = self.down(x).relu()
        low = self.inner(nn.functional.avg_pool1d(skip, 2))
        high = nn.functional.interpolate(low, size=skip.shape[2:])
        return self.up(torch.cat([skip, high], 1)).flatten(1)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = tnn.SLLLinear(6, 6), tnn.SandwichLinear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x) * 2.0 - x)


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sll, self.soc = tnn.SLLConv2d(1, 2, 3, padding="same"), tnn.SOCConv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (1, 2, 3))
        return self.soc(self.sll(x)).flatten(1)


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), tnn.MaxMin(), nn.Linear(8, 4))


MODELS = [chain, Skips, Pieces, Shared, UNet, Blocks, Images]


def size(values: Exact, norm: str) -> float:
    return math.sqrt(sum(v * v for v in values.flat)) if norm == "l2" else float(max(abs(values).flat))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", MODELS)
@torch.no_grad()
def test_errors_are_within_the_analysis_at_the_sample_and_in_the_ball(
    build: Callable[[], nn.Module], norm: str
) -> None:
    torch.manual_seed(0)
    model = build()
    program = lower(model, (6,))
    analysis = prepare(program, norm, FLOAT64).analysis  # type: ignore[arg-type]
    centres = torch.cat([torch.randn(2, 6), torch.zeros(1, 6), 1e6 * torch.randn(1, 6)]).double()
    for x in centres:
        state = analysis.output(x[None])
        assert torch.equal(state.values, program(x[None]))
        wrong = size(exactly(state.values[0]) - exact_output(program, exactly(x)), norm)
        assert wrong <= float(state.error)
        assert wrong <= float(state.ball_error)
        for exponent in (-8, -2, 0, 4):
            moved = x + torch.randn(6, dtype=torch.float64) * 10.0**exponent
            rho = size(exactly(moved) - exactly(x), norm)
            wrong = size(exactly(program(moved[None])[0]) - exact_output(program, exactly(moved)), norm)
            assert wrong <= (float(state.ball_error) + analysis.slopes[-1] * rho) * (1 + 1e-12)
    typical = analysis.output(centres[:1])
    assert 0 < float(typical.error) < 1e-12  # some hundred roundings


@torch.no_grad()
def test_what_a_block_is_given_counts_as_well() -> None:
    """Terms of 1e9 that cancel before a block whose own error is small."""
    torch.manual_seed(0)
    first = nn.Linear(6, 6, bias=False)
    first.weight.copy_(1e9 * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]).expand(6, 6) + torch.randn(6, 6))
    program = lower(nn.Sequential(first, tnn.SLLLinear(6, 6)), (6,))
    analysis = prepare(program, "l2", FLOAT64).analysis
    x = torch.full((20, 6), 0.3, dtype=torch.float64) + 1e-9 * torch.randn(20, 6, dtype=torch.float64)
    state = analysis.states(x, {1, 2})
    largest = 0.0
    for row, values, bound in zip(x, state[2].values, state[2].error.tolist(), strict=True):
        wrong = size(exactly(values) - exact_output(program, exactly(row)), "l2")
        assert wrong <= bound
        largest = max(largest, wrong)
    assert largest > 1e-9  # far more than the block's own roundings of numbers of size one


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("build", MODELS)
def test_constants_along_paths_are_those_of_the_bound(build: Callable[[], nn.Module], norm: str) -> None:
    """But for the slack of stated constants, and what blocks give in linf alone."""
    torch.manual_seed(0)
    model = build()
    program = lower(model, (6,))
    found = prepare(program, norm, FLOAT64).lipschitz_bound  # type: ignore[arg-type]
    if norm == "linf" and build in (Blocks, Images):
        with torch.no_grad():
            x = torch.randn(6, dtype=torch.float64)
            matrix = torch.func.jacrev(lambda v: program(v[None])[0])(x)
        assert float(matrix.abs().sum(1).max()) <= found < math.inf
        return
    bound = taut.lipschitz_bound(model, norm=norm, input_shape=(6,))
    assert bound * (1 - 1e-12) <= found <= bound * (1 + SLACK) ** (len(program.nodes) + 1)


def test_disjoint_pieces_count_once_and_others_by_the_root() -> None:
    class Two(nn.Module):
        def __init__(self, second: slice) -> None:
            super().__init__()
            self.second = second

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x[:, :3] * 2.0, x[:, self.second].relu()], 1)

    for second, constant in ((slice(3, 6), 2.0), (slice(2, 5), math.sqrt(5.0))):
        analysis = prepare(lower(Two(second), (6,)), "l2", FLOAT64).analysis
        assert constant <= analysis.lipschitz_bound <= constant * (1 + 1e-15)


def test_the_identity_has_constant_one_and_no_error() -> None:
    analysis = prepare(lower(nn.Identity(), (6,)), "l2", FLOAT64).analysis
    state = analysis.output(torch.randn(2, 6).double())
    assert analysis.lipschitz_bound == 1.0
    assert state.error.tolist() == state.ball_error.tolist() == [0.0, 0.0]


def test_the_breakdown_multiplies_to_the_constant() -> None:
    torch.manual_seed(0)
    prepared = prepare(lower(Pieces(), (6,)), "l2", FLOAT64)
    tree = prepared.analysis.breakdown(prepared.bounds, ["method"] * len(prepared.bounds))
    assert tree.bound == prepared.lipschitz_bound
    assert "cat" in str(tree)
