"""Constants of blocks with two layers around a ReLU: sound against every pattern of slopes, tight for taut's own."""

import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import taut
from taut.certify.rules.block_rules import is_block
from taut.nn.conversion.plain_blocks import plain_block, plain_linear

ROUNDING = 64 * torch.finfo(torch.float64).eps


def largest_slope(inner: torch.Tensor, outer: torch.Tensor, *, shortcut: bool) -> float:
    """Largest ||P - G D F|| over all D of zeros and ones: over 0 <= D <= 1 the largest is attained at a corner, as the
    norm is convex."""
    f, g = inner.detach().double(), outer.detach().double()
    start = torch.eye(g.shape[0], f.shape[1], dtype=torch.float64) * shortcut
    corners = itertools.product((0.0, 1.0), repeat=len(f))
    slopes = (torch.diag(torch.tensor(corner, dtype=torch.float64)) for corner in corners)
    return max(float(torch.linalg.matrix_norm(start - g @ d @ f, 2)) for d in slopes)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 5)] * 3), st.booleans(), st.floats(0, 1), st.floats(-2, 1), st.integers(0, 10**6))
def test_never_below_the_largest_slope(
    sizes: tuple[int, int, int], shortcut: bool, share: float, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    i, o, h = sizes
    inner = torch.randn(h, i, generator=generator) * 10**scale
    outer = torch.randn(o, h, generator=generator) * (1 - share)
    kept = min(i, o)
    outer[:kept] += share * (2 * inner.T / inner.square().sum())[:kept]
    block = plain_block(plain_linear(inner, torch.zeros(h)), plain_linear(outer, None), shortcut=shortcut)
    bound = taut.lipschitz_bound(block, input_shape=(i,))
    assert bound >= largest_slope(inner, outer, shortcut=shortcut) * (1 - ROUNDING)
    product = shortcut + float(
        torch.linalg.matrix_norm(outer.double(), 2) * torch.linalg.matrix_norm(inner.double(), 2)
    )
    assert bound <= product * (1 + 1e-8) + 1e-12


@pytest.mark.parametrize("sizes", [(6, 6), (9, 4), (4, 9)])
@pytest.mark.parametrize("layer", [taut.nn.SLLLinear, taut.nn.CPLLinear, taut.nn.SandwichLinear])
def test_tight_for_the_blocks_of_taut(layer: type[nn.Module], sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = taut.fold(layer(*sizes))
    shortcut = layer is not taut.nn.SandwichLinear
    bound = taut.lipschitz_bound(plain)
    assert bound <= 1 + 1e-6
    assert bound >= largest_slope(plain.inner.weight, plain.outer.weight, shortcut=shortcut) * (1 - ROUNDING)
    with torch.no_grad():
        plain.outer.weight.mul_(4)  # the bound follows the weights that are there
    assert taut.lipschitz_bound(plain) > 1.001
    assert taut.lipschitz_bound(plain) >= largest_slope(plain.inner.weight, plain.outer.weight, shortcut=shortcut) * (
        1 - ROUNDING
    )


def test_channels_that_do_nothing_are_left_out() -> None:
    inner, outer = torch.zeros(3, 4), torch.zeros(4, 3)
    inner[0], outer[:, 1] = 1e30, 1e30
    block = plain_block(plain_linear(inner, torch.ones(3)), plain_linear(outer, None), shortcut=True)
    assert taut.lipschitz_bound(block) == 1.0


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 1e38])
def test_weights_of_any_scale(scale: float) -> None:
    torch.manual_seed(0)
    inner, outer = scale * torch.randn(3, 3), torch.randn(3, 3)
    block = plain_block(plain_linear(inner, None), plain_linear(outer, None), shortcut=True)
    assert taut.lipschitz_bound(block) >= largest_slope(inner, outer, shortcut=True) * (1 - ROUNDING)


def test_a_pickled_block_is_still_proven() -> None:
    plain = taut.fold(taut.nn.SLLLinear(5, 5))
    again = pickle.loads(pickle.dumps(plain))
    assert taut.lipschitz_bound(again) == taut.lipschitz_bound(plain)


def tampered(change: str) -> nn.Module:
    graph = taut.fold(taut.nn.SLLLinear(5, 5))
    nodes = {node.name: node for node in graph.graph.nodes}
    if change == "sub becomes add":
        nodes["sub"].target = torch.add
    elif change == "relu becomes abs":
        nodes["relu"].target = torch.abs
    elif change == "swapped":
        nodes["sub"].args = nodes["sub"].args[::-1]
    elif change == "hook":
        graph.inner.register_forward_hook(lambda module, args, output: 2 * output)
    elif change == "other module":
        graph.inner = taut.nn.BjorckLinear(5, 5)
    graph.recompile()
    return graph


@pytest.mark.parametrize("change", ["sub becomes add", "relu becomes abs", "swapped", "hook", "other module"])
def test_the_graph_decides_and_not_its_name(change: str) -> None:
    assert is_block(tampered("nothing"))
    assert not is_block(tampered(change))


def test_a_subclass_may_compute_something_else() -> None:
    class Doubled(taut.nn.SLLLinear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    assert not is_block(Doubled(4, 4))


def convolutional(mode: str, *, size: int = 3, share: float, **options: object) -> nn.Module:
    """A random plain block of convolutions, `share` of whose outer kernel is what a residual would have."""
    inner, outer = (
        nn.Conv2d(*channels, size, padding_mode=mode, **{"padding": size // 2, **options})  # type: ignore[arg-type]
        for channels in ((2, 3), (3, 2))
    )
    with torch.no_grad():
        adjoint = inner.weight.transpose(0, 1).flip(2, 3)
        outer.weight.copy_((1 - share) * 0.2 * outer.weight + share * 2 / 3 * adjoint / adjoint.square().sum())
    outer.bias = None
    return plain_block(inner, outer, shortcut=True)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("share", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("image", [None, (4, 5)])
def test_never_below_the_slopes_of_convolutions(mode: str, share: float, image: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    block = convolutional(mode, share=share)
    bound = taut.lipschitz_bound(block, input_shape=None if image is None else (2, *image))
    double = pickle.loads(pickle.dumps(block)).double()
    zeros = {channels: torch.zeros(1, channels, 4, 5, dtype=torch.float64) for channels in (2, 3)}

    def operator(layer: nn.Module, channels: int) -> torch.Tensor:
        columns = torch.eye(channels * 20, dtype=torch.float64).reshape(-1, channels, 4, 5)
        return (layer(columns) - layer(zeros[channels])).flatten(1).T.detach()

    f, g = operator(double.inner, 2), operator(double.outer, 3)
    for probability in (0.1, 0.5, 0.9, 1.0):
        slopes = torch.diag((torch.rand(60) < probability).double())
        gain = float(torch.linalg.matrix_norm(torch.eye(40, dtype=torch.float64) - g @ slopes @ f, 2))
        assert bound >= gain * (1 - ROUNDING)
    product = float(torch.linalg.matrix_norm(f, 2) * torch.linalg.matrix_norm(g, 2))
    assert bound <= 1 + 1.5 * product  # the border of this small image takes from both
    if share == 1.0:
        assert bound <= 1 + 1e-6


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("zeros", {"size": 4}),
        ("reflect", {}),
        ("zeros", {"padding": 0}),
        ("zeros", {"padding": 2}),
        ("zeros", {"stride": 2}),
    ],
)
def test_convolutions_that_are_not_adjoint_have_no_rule(mode: str, options: dict[str, object]) -> None:
    assert is_block(convolutional("zeros", share=0.5))
    assert not is_block(convolutional(mode, share=0.5, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [taut.nn.SLLConv2d, taut.nn.CPLConv2d, taut.nn.SandwichConv2d])
def test_tight_for_the_convolutional_blocks_of_taut(layer: type[nn.Module]) -> None:
    torch.manual_seed(0)
    for module in (layer(12, 12, 3), layer(3, 8, (1, 3), padding_mode="circular")):
        assert 1 - 1e-6 <= taut.lipschitz_bound(module) <= 1 + 2e-6
        assert taut.lipschitz_bound(taut.fold(module)) == taut.lipschitz_bound(module)
