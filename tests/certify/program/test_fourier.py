"""Convolutions made in the Fourier domain: symbols and results against 60 digits; the constant; refusals."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

import taut
from fourier_oracle import applied, distance, symbol, symbols
from taut import nn as tnn
from taut.certify import evaluate, interval_bound, lower, robustness
from taut.certify.norms.fourier import Kind, fourier_symbols
from taut.certify.norms.turns import turns
from taut.certify.program.fourier import Fourier, fourier_operation
from taut.certify.rounding import gamma
from taut.functional import cayley_convolution
from taut.nn.conversion.plain_fourier import plain_fourier

Shape = tuple[int, int, int, tuple[int, int]]
SHAPES: list[Shape] = [(2, 2, 2, (2, 3)), (2, 4, 3, (3, 2)), (3, 2, 2, (1, 1)), (1, 1, 3, (2, 2))]
"""In, out, taps, image."""
KINDS: list[Kind] = ["reflection", "cayley"]


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    with mpmath.workdps(60):
        yield


def kernel(kind: Kind, shape: Shape) -> Tensor:
    inputs, outputs, taps, _ = shape
    columns = min(inputs, outputs) if kind == "cayley" else max(1, max(inputs, outputs) // 2)
    return torch.randn(max(inputs, outputs), columns, taps, taps, dtype=torch.float64)


def hard(weight: Tensor) -> dict[str, Tensor]:
    """Kernels of all scales, without rank at a frequency, or almost."""
    alike, silent = weight.clone(), weight.clone()
    alike[:, -1] = weight[:, 0] * (1 + 1e-4 * (weight.shape[1] > 1)) + 1e-4 * torch.randn_like(weight[:, 0])
    silent[:, :, 0, 0] -= weight.sum((2, 3))  # zero at the frequency zero, for images that hold all taps
    return {
        "random": weight,
        "alike": alike,
        "silent": silent,
        "almost silent": silent + 1e-8 * weight,
        "zero": 0.0 * weight,
        "large": 1e30 * weight,
        "small": 1e-30 * weight,
        "capped": 300.0 * weight,
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_symbols_are_within_their_error_of_the_exact_ones(kind: Kind, shape: Shape) -> None:
    torch.manual_seed(0)
    inputs, outputs, _, size = shape
    for name, weight in hard(kernel(kind, shape)).items():
        found = fourier_symbols(weight, kind=kind, channels=(inputs, outputs), size=size)
        frequencies = list(np.ndindex(size[0], size[1] // 2 + 1))
        assert len(found.values) == len(frequencies)
        for values, at in zip(found.values, frequencies, strict=True):
            exact = symbol(weight, kind, (inputs, outputs), size, at)
            away = distance(values, exact)
            assert away <= found.error, name
            largest = mpmath.svd_c(exact, compute_uv=False)[0]
            assert largest <= 1 + mpmath.mpf(10) ** -50, name
        assert found.error < (1e-10 if name in ("random", "large", "small", "capped", "zero") else 1e-1), name


def test_a_symbol_without_two_steps_or_with_another_ridge_would_be_outside() -> None:
    """The bound tells the exact layer from its neighbours: a ridge of 2e-7 moves the symbol where columns are alike."""
    torch.manual_seed(1)
    weight = torch.randn(4, 2, 2, 2, dtype=torch.float64)
    weight[:, 1] = weight[:, 0] + 3e-4 * torch.randn(4, 2, 2, dtype=torch.float64)
    found = fourier_symbols(weight, kind="reflection", channels=(4, 4), size=(2, 2))
    exact = symbol(weight, "reflection", (4, 4), (2, 2), (0, 0))
    polished = exact * mpmath.mpf(3) / 2 - exact * exact.H * exact / 2
    assert distance(found.values[0], exact) <= found.error < distance(found.values[0], polished)


def test_cosines_and_sines_are_rounded_correctly() -> None:
    for count in (1, 2, 3, 7, 8, 12, 31, 64, 100):
        cosines, sines = turns(count)
        for j in range(count):
            angle = mpmath.mpf(2 * j) / count
            for found, exact in ((cosines[j], mpmath.cospi(angle)), (sines[j], mpmath.sinpi(angle))):
                assert abs(mpmath.mpf(float(found)) - exact) <= abs(exact) * mpmath.mpf(2) ** -53


LAYERS: list[tuple[Callable[[], nn.Module], tuple[int, int, int]]] = [
    (lambda: tnn.BROConv2d(2, 2, 3), (2, 3, 4)),
    (lambda: tnn.BROConv2d(2, 3, 3, bias=False), (2, 2, 3)),
    (lambda: tnn.BROConv2d(3, 2, 5), (3, 2, 2)),
    (lambda: tnn.CayleyConv2d(2, 2, 3, bias=False), (2, 4, 3)),
    (lambda: tnn.CayleyConv2d(2, 3, 2 + 1), (2, 1, 3)),
    (lambda: tnn.CayleyConv2d(3, 1, 3), (3, 2, 1)),
    (lambda: tnn.BROConv2d(1, 1, 1), (1, 1, 1)),
]
CASES = pytest.mark.parametrize(("build", "shape"), LAYERS, ids=[str(build()) for build, _ in LAYERS])


def operation_of(layer: nn.Module, shape: tuple[int, ...]) -> Fourier:
    (node,) = lower(layer, shape).nodes
    assert isinstance(node.operation, Fourier)
    return node.operation


@CASES
def test_results_are_within_the_error_of_the_exact_ones(
    build: Callable[[], nn.Module], shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    layer = build()
    operation = operation_of(layer, shape)
    exact = symbols(operation.weight.exact, operation.kind, operation.channels, operation.size)
    x = torch.randn(3, *shape, dtype=torch.float64) * torch.tensor([1.0, 1e6, 1e-12]).view(-1, 1, 1, 1)
    x[2, 0, 0, 0] = 1.0  # and entries of unequal sizes
    found = evaluate(layer, x)
    trust = gamma(operation.roundings(shape))
    bias = None if operation.bias is None else operation.bias.exact
    for row, values, sizes, bound in zip(
        x, operation(x), operation.magnitude(x), found.error_bound.tolist(), strict=True
    ):
        away = distance(values, applied(exact, row, bias))
        assert away <= trust * float(sizes.norm()) <= bound * (1 + 1e-12)
        assert bound <= 1e-10 * (float(row.norm()) + 1)
        # a result that is off by a millionth is told from the exact one
        assert distance(values * (1 + 1e-6), applied(exact, row, bias)) > bound


def test_roundings_and_spread_are_those_of_the_document() -> None:
    operation = operation_of(tnn.BROConv2d(5, 3, 3), (5, 7, 10))  # h = 6: 3 (40 + 12) + 3 (56 + 4) + 4 * 2 * 5 + 8
    assert operation.roundings(()) == 156 + 180 + 40 + 8
    wanted = 1 + 1.5 * operation.symbols.error / gamma(384)
    assert wanted * (1 - 1e-15) <= operation.spread("l2", ()) <= wanted * (1 + 1e-9)
    x = torch.randn(1, 5, 7, 10, dtype=torch.float64)
    assert operation.bias is not None
    even = operation.spread("l2", ()) * float(x.norm()) / math.sqrt(3 * 70)
    sizes = even + operation.bias.exact.abs().reshape(-1, 1, 1).expand(3, 7, 10)
    torch.testing.assert_close(operation.magnitude(x)[0], sizes, rtol=1e-9, atol=0.0)


@CASES
def test_the_layer_itself_is_within_the_error(build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> None:
    torch.manual_seed(1)
    layer = build()
    x = torch.randn(4, *shape, dtype=torch.float64)
    found = evaluate(taut.fold(layer), x)
    with torch.no_grad():
        run = layer.double()(x)
    assert bool(((run - found.logits).flatten(1).norm(dim=1) <= found.error_bound).all())


@CASES
def test_the_constant_is_one_and_reached(build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    operation = operation_of(build(), shape)
    assert operation.proof("l2", shape).bound == 1.0
    assert not operation.measured
    jacobian = torch.autograd.functional.jacobian(
        lambda v: operation(v[None])[0].flatten(), torch.zeros(shape).double()
    )
    assert isinstance(jacobian, Tensor)
    values = torch.linalg.svdvals(jacobian.flatten(1))
    assert float((values - 1).abs().max()) < 1e-12


@CASES
def test_magnitudes_grow_no_faster_than_the_spread(build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    operation = operation_of(build(), shape)
    x, step = torch.randn(2, 50, *shape, dtype=torch.float64)
    before, after = (operation.magnitude(v).flatten(1).norm(dim=1) for v in (x, x + step))
    steps = operation.spread("l2", shape) * step.flatten(1).norm(dim=1)
    assert bool((after - before <= steps * (1 + 1e-9)).all())
    along = operation.magnitude(3 * x).flatten(1).norm(dim=1) - operation.magnitude(2 * x).flatten(1).norm(dim=1)
    if operation.bias is None:
        wanted = operation.spread("l2", shape) * x.flatten(1).norm(dim=1)
        torch.testing.assert_close(along, wanted, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 5, 1), (3, 3, 3)])
@pytest.mark.parametrize("cls", [tnn.BROConv2d, tnn.CayleyConv2d])
def test_layers_and_their_graphs_are_one_operation(
    cls: type[tnn.BROConv2d | tnn.CayleyConv2d], shape: tuple[int, ...]
) -> None:
    layer = cls(shape[0], 3, 3)
    own, folded = operation_of(layer, shape), operation_of(taut.fold(layer), shape)
    assert own.settings() == folded.settings() == {"kind": own.kind, "channels": (shape[0], 3), "size": shape[1:]}
    assert own.kind == ("cayley" if cls is tnn.CayleyConv2d else "reflection")
    assert torch.equal(own.weight.kept, layer.weight)
    assert folded.weight.kept.dtype == torch.float32
    assert torch.equal(own.symbols.values, folded.symbols.values)


def test_the_adjoint_of_a_square_layer_has_no_operation() -> None:
    """No layer of taut.nn is one, and in the file it could not be told from the layer."""
    graph = plain_fourier(partial(cayley_convolution, wide=True), torch.randn(2, 2, 3, 3), None)
    assert fourier_operation(graph, (2, 4, 4)) is None
    with pytest.raises(TypeError, match="cannot be certified"):
        lower(nn.Sequential(graph), (2, 4, 4))


@pytest.mark.parametrize("cls", [tnn.BROConv2d, tnn.CayleyConv2d])
def test_a_graph_that_computes_something_else_has_no_operation(cls: type[tnn.BROConv2d | tnn.CayleyConv2d]) -> None:
    for sizes in ((2, 2), (2, 4), (3, 1)):
        graph = taut.fold(cls(*sizes, 3))
        assert isinstance(graph, fx.GraphModule)
        assert fourier_operation(graph, (sizes[0], 4, 4)) is not None
        factor = next(node for node in graph.graph.nodes if 0.5 in node.args)
        factor.args = tuple(0.4 if value == 0.5 else value for value in factor.args)
        graph.recompile()
        with pytest.raises(TypeError, match="cannot be certified"):
            lower(nn.Sequential(graph), (sizes[0], 4, 4))
    for name, value in (("extra", nn.Parameter(torch.ones(1))), ("module", nn.Identity())):
        graph = taut.fold(cls(2, 2, 3))
        setattr(graph, name, value)
        assert fourier_operation(graph, (2, 4, 4)) is None
    graph = taut.fold(cls(2, 3, 3))
    graph.bias = nn.Parameter(torch.zeros(1, 1, 1))
    assert fourier_operation(graph, (2, 4, 4)) is None


def test_refusals_name_the_module() -> None:
    layer = nn.Sequential(tnn.BROConv2d(2, 2, 3))
    for shape in ((3, 4, 4), (2, 4), (2, 1, 4, 4)):
        with pytest.raises(ValueError, match=r"module '0' \(BROConv2d\): it takes images of 2 channels"):
            lower(layer, shape)
    net, x = nn.Sequential(layer, nn.Flatten(), nn.Linear(32, 3)), torch.randn(2, 2, 4, 4)
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"module '0\.0' \(BROConv2d\): its constant is known in l2 only"):
        robustness(net, x, labels, norm="linf")
    for arithmetic in ("float32", "tf32", "bfloat16"):
        with pytest.raises(TypeError, match=rf"module '0\.0' \(BROConv2d\) .* not {arithmetic}"):
            robustness(net, x, labels, arithmetic=arithmetic)
    with pytest.raises(TypeError, match=r"module '0\.0' \(BROConv2d\) cannot be bounded entry by entry"):
        interval_bound(net, x - 1, x + 1)
    with torch.no_grad():
        layer[0].weight[0, 0, 0, 0] = math.inf  # type: ignore[index, operator]
    with pytest.raises(ValueError, match=r"module '0' \(BROConv2d\).*finite"):
        lower(layer, (2, 4, 4))
    large = nn.Sequential(tnn.CayleyConv2d(2, 2, 3).double())
    with torch.no_grad():
        large[0].weight.fill_(1e308)  # type: ignore[union-attr, operator]
    with pytest.raises(ValueError, match="too large for float64"):
        lower(large, (2, 4, 4))
