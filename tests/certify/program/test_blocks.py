"""Blocks: their result against rational arithmetic within the error of the analysis, and their constant."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from program_cases import exactly, exponential, residual
from taut import nn as tnn
from taut.certify import evaluate, lower
from taut.certify.program.blocks import Block, Residual

LAYERS: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("sll", lambda: tnn.SLLLinear(4, 4, inner_features=6), (4,)),
    ("sll wider", lambda: tnn.SLLLinear(3, 5), (3,)),
    ("sll narrower", lambda: tnn.SLLLinear(5, 3), (2, 5)),
    ("cpl", lambda: tnn.CPLLinear(4, 4), (4,)),
    ("sandwich", lambda: tnn.SandwichLinear(4, 3), (4,)),
    ("sll conv", lambda: tnn.SLLConv2d(2, 2, 3), (2, 3, 4)),
    ("sll conv wider", lambda: tnn.SLLConv2d(2, 3, 3, padding="same"), (2, 3, 3)),
    ("cpl conv", lambda: tnn.CPLConv2d(2, 2, 3), (2, 3, 4)),
    ("soc", lambda: tnn.SOCConv2d(2, 2, 3), (2, 3, 3)),
    ("soc wider", lambda: tnn.SOCConv2d(2, 3, 3), (2, 3, 3)),
    ("soc narrower", lambda: tnn.SOCConv2d(3, 2, 3, bias=False), (3, 3, 3)),
]
CASES = pytest.mark.parametrize(("name", "build", "shape"), LAYERS, ids=[name for name, *_ in LAYERS])


@pytest.mark.parametrize("norm", ["l2", "linf"])
@CASES
def test_results_are_within_the_error_of_the_exact_ones(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], norm: str
) -> None:
    torch.manual_seed(0)
    layer = build()
    for parameter in layer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    program = lower(layer, shape)
    (node,) = program.nodes
    block = node.operation
    assert isinstance(block, Block)
    x = torch.randn(2, *shape, dtype=torch.float64) * torch.tensor([1.0, 1e6]).view(-1, *[1] * len(shape))
    found = evaluate(layer, x, norm=norm)
    assert torch.equal(found.logits, program(x))
    for row, values, bound in zip(x, found.logits, found.error_bound.tolist(), strict=True):
        exact = residual(block, exactly(row)) if isinstance(block, Residual) else exponential(block, exactly(row))  # type: ignore[arg-type]
        away = exactly(values) - exact
        size = math.sqrt(sum(d * d for d in away.flat)) if norm == "l2" else float(max(abs(away).flat))
        assert 0 < size <= bound <= 1e-11 * float(row.norm())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@CASES
def test_constants_are_above_every_jacobian(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], norm: str
) -> None:
    torch.manual_seed(1)
    layer = build()
    program = lower(layer, shape)
    bound = program.nodes[0].operation.proof(norm, shape).bound  # type: ignore[arg-type]
    largest = 0.0
    for scale in (0.1, 1.0, 10.0):
        x = torch.randn(*shape, dtype=torch.float64) * scale
        matrix = torch.func.jacrev(lambda v: program(v[None])[0].flatten())(x).reshape(-1, x.numel())
        norms = torch.linalg.matrix_norm(matrix, 2) if norm == "l2" else matrix.abs().sum(1).max()
        largest = max(largest, float(norms))
    assert largest <= bound * (1 + 1e-12)
    if norm == "l2":
        assert 0.1 < bound < 1.001


@CASES
def test_constants_in_linf_are_those_of_the_parts(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(1)
    block = lower(build(), shape).nodes[0].operation

    def rows(tensor: str) -> float:
        return float(block.tensors()[tensor].exact.abs().flatten(1).sum(1).max())

    if isinstance(block, Residual):
        wanted = float(block.shortcut) + rows("inner_weight") * rows("outer_weight")
    else:
        wanted = sum(rows("kernel") ** i / math.factorial(i) for i in range(block.settings()["terms"]))
    assert wanted * (1 - 1e-12) <= block.proof("linf", shape).bound <= wanted * (1 + 1e-9)
