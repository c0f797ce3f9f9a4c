"""Blocks: their result against rational arithmetic within the error of the analysis, and their constant."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from program_cases import Exact, convolved, exactly
from taut import nn as tnn
from taut.certify import evaluate, lower
from taut.certify.program.blocks import Block, Exponential, Residual

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


def resized(x: Exact, axis: int, size: int) -> Exact:
    """Zeros appended, or entries cut."""
    if x.shape[axis] >= size:
        return x.take(range(size), axis)
    widths = [(0, size - n if at == axis else 0) for at, n in enumerate(x.shape)]
    return np.pad(x, widths, constant_values=Fraction(0))


def residual(block: Residual, x: Exact) -> Exact:
    settings, tensors = block.settings(), {name: exactly(value) for name, value in block.tensors().items()}

    def affine(side: str, values: Exact) -> Exact:
        weight, bias = tensors[f"{side}_weight"], tensors.get(f"{side}_bias")
        if settings["kind"] == "linear":
            return values @ weight.T + (0 if bias is None else bias)
        plain = {"stride": (1, 1), "groups": 1}
        return convolved(
            values, weight, bias, {**plain, **{k: settings[k] for k in ("padding", "dilation", "padding_mode")}}
        )

    branch = affine("outer", np.maximum(affine("inner", x), 0))
    axis = -1 if settings["kind"] == "linear" else 0
    return resized(x, axis % x.ndim, branch.shape[axis]) - branch if settings["shortcut"] else branch


def exponential(block: Exponential, x: Exact) -> Exact:
    settings, tensors = block.settings(), {name: exactly(value) for name, value in block.tensors().items()}
    kernel = tensors["kernel"]
    options = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    options |= {key: settings[key] for key in ("padding", "padding_mode")}
    assert settings["channels"][0] == len(x)
    power = total = resized(x, 0, len(kernel))
    for i in range(1, settings["terms"]):
        power = convolved(power, kernel, None, options) / i
        total = total + power
    total = resized(total, 0, settings["channels"][1])
    return total + tensors["bias"].reshape(-1, 1, 1) if "bias" in tensors else total


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
