"""Norms of convolutions: never below that of the explicit operator, and near the supremum over frequencies."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from taut.certify import conv_norm_bound
from taut.certify.norms.convolution import Proof, linf_conv_bound, prove_conv_norm
from taut.certify.norms.stencil import Geometry, geometry

ROUNDING = 1e-13
"""Of the explicit operator's norm as LAPACK computes it, relative."""
TIGHTNESS = 1e-3
"""What is promised."""
CONVS: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED: tuple[Any, ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def operator(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    x = torch.zeros(1, *shape, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda z: module(z).flatten())(x)
    return jacobian.detach().reshape(len(jacobian), -1)


def assert_bounded(module: Any, image: tuple[int, ...], any_size: Proof | None = None) -> None:
    """By the bounds for any image (`any_size`, where it has been proven before) and for this one, in both norms."""
    matrix = operator(module, (module.in_channels, *image))
    shape = geometry(module)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    any_size = any_size or prove_conv_norm(module.weight, shape)
    this_size = prove_conv_norm(module.weight, shape, image_size=image)
    assert any_size.bound >= exact * (1 - ROUNDING), (module, image, any_size)
    assert this_size.bound >= exact * (1 - ROUNDING), (module, image, this_size)
    assert this_size.bound <= any_size.bound * (1 + 2 * TIGHTNESS)
    assert linf_conv_bound(module.weight, shape).bound >= float(matrix.abs().sum(1).max()) * (1 - ROUNDING)


def randomised(module: Any, seed: int) -> Any:
    """Signed, positive, constant or sparse weights: the worst operators are positive ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        values = torch.randn(module.weight.shape, generator=generator, dtype=torch.float64)
        choices = (values, values.abs(), torch.ones_like(values), values * (values > 0.5))
        module.weight = nn.Parameter(choices[seed % 4].clone())
    return module


@st.composite
def cases(draw: Callable[[Any], Any], *, transposed: bool) -> tuple[Any, tuple[int, ...]]:
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    kernel = numbers(1, (6, 4, 2)[axes - 1])
    options: dict[str, Any] = {
        "stride": numbers(1, 4),
        "dilation": numbers(1, 4),
        "padding": numbers(0, 4),
        "groups": groups,
        "bias": False,
    }
    if transposed:
        room = [max(s, d) for s, d in zip(options["stride"], options["dilation"], strict=True)]
        options["output_padding"] = tuple(draw(st.integers(0, r - 1)) for r in room)
        module = TRANSPOSED[axes - 1](inputs, outputs, kernel, **options)
    else:
        options["padding_mode"] = draw(st.sampled_from(["zeros", "circular", "reflect", "replicate"]))
        if draw(st.booleans()):
            options |= {"padding": "same", "stride": 1}
        module = CONVS[axes - 1](inputs, outputs, kernel, **options)
    return randomised(module.double(), draw(st.integers(0, 10**6))), numbers(1, (12, 7, 4)[axes - 1])


def accepts(module: Any, image: tuple[int, ...]) -> bool:
    """Whether torch takes the image and makes something of it that is small enough to be an oracle."""
    try:
        result = module(torch.zeros(1, module.in_channels, *image, dtype=torch.float64))
    except (RuntimeError, ValueError):
        return False
    return 0 < result.numel() * module.in_channels * math.prod(image) < 10**6


SETTINGS = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much]
)


@SETTINGS
@given(cases(transposed=False))
def test_no_convolution_exceeds_its_bound(case: tuple[Any, tuple[int, ...]]) -> None:
    assume(accepts(*case))
    assert_bounded(*case)


@SETTINGS
@given(cases(transposed=True))
def test_no_transposed_convolution_exceeds_its_bound(case: tuple[Any, tuple[int, ...]]) -> None:
    assume(accepts(*case))
    assert_bounded(*case)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("seed", [0, 1])
def test_padding_that_repeats_pixels_is_bounded_for_every_image(mode: str, seed: int) -> None:
    for stride, dilation, padding in product((1, 2, 3), (1, 2), (1, 3)):
        options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding, "padding_mode": mode}
        module = randomised(nn.Conv1d(1, 2, 3, bias=False, **options).double(), seed)
        any_size = prove_conv_norm(module.weight, geometry(module))
        for image in (1, 2, 3, 4, 6, 7):
            if accepts(module, (image,)):
                assert_bounded(module, (image,), any_size)


@pytest.mark.parametrize(("stride", "image"), [(1, 7), (2, 8), (3, 9), (4, 4)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_circular_convolutions_of_a_known_image_get_their_exact_norm(stride: int, image: int, dilation: int) -> None:
    module = nn.Conv2d(2, 3, 3, stride=stride, dilation=dilation, padding=dilation, padding_mode="circular").double()
    if dilation > image:
        return
    found = prove_conv_norm(module.weight, geometry(module), image_size=(image, image))
    exact = float(torch.linalg.matrix_norm(operator(module, (2, image, image)), 2))
    assert exact * (1 - ROUNDING) <= found.bound <= exact * (1 + 1e-7)


def test_a_circular_stride_that_does_not_divide_the_image_costs_more() -> None:
    """The wrapped outputs overlap more than those of the infinite convolution."""
    weight = torch.ones(1, 1, 3, dtype=torch.float64)
    options: dict[str, Any] = {"stride": 2, "padding": 1, "padding_mode": "circular"}
    divided = conv_norm_bound(weight, image_size=(6,), **options)
    module = nn.Conv1d(1, 1, 3, bias=False, **options).double()
    with torch.no_grad():
        module.weight.copy_(weight)
    worst = max(float(torch.linalg.matrix_norm(operator(module, (1, n)), 2)) for n in range(1, 9))
    assert conv_norm_bound(weight, **options) >= worst * (1 - ROUNDING)
    assert worst > 1.05 * divided


def aliased_norm(weight: Tensor, stride: tuple[int, ...], points: int) -> float:
    """Norm of the strided convolution on a grid: K at all aliases of a frequency side by side, over root of the number
    of aliases. Another formula than the polyphase form."""
    axes = weight.ndim - 2
    angles = torch.arange(points, dtype=torch.float64) * (2 * math.pi / points)
    best = 0.0
    for theta in product(angles[: points // 2 + 1], *([angles] * (axes - 1))):
        sides = []
        for alias in product(*(range(s) for s in stride)):
            symbol = weight.to(torch.complex128)
            for angle, m, s in zip(theta, alias, stride, strict=True):
                full = (float(angle) + 2 * math.pi * m) / s
                taps = torch.arange(symbol.shape[2], dtype=torch.float64)
                symbol = torch.tensordot(symbol, torch.polar(torch.ones_like(taps), full * taps), dims=([2], [0]))
            sides.append(symbol)
        block = torch.cat(sides, dim=1) / math.sqrt(math.prod(stride))
        best = max(best, float(torch.linalg.matrix_norm(block, 2)))
    return best


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        ((4, 3, 3), (1,)),
        ((3, 4, 5), (2,)),
        ((4, 2, 7), (3,)),
        ((2, 2, 2), (4,)),
        ((4, 3, 3, 3), (1, 1)),
        ((3, 2, 3, 3), (2, 2)),
        ((6, 2, 3, 2), (1, 2)),
        ((2, 3, 2, 2, 2), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_the_bound_is_as_tight_as_promised(shape: tuple[int, ...], stride: tuple[int, ...], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    points = (512, 48, 16)[len(stride) - 1]
    attained = aliased_norm(weight, stride, points)
    # the grid misses the supremum by less than the cosine of half a step, taken along each axis
    degree = sum(math.ceil(k / s) - 1 for k, s in zip(shape[2:], stride, strict=True))
    missed = math.cos(math.pi * degree / points / 2)
    bound = conv_norm_bound(weight, stride=stride)
    assert attained * (1 - ROUNDING) <= bound <= attained / missed * (1 + 1.01 * TIGHTNESS)
    # dilation without stride changes nothing; with it, it may undo the stride
    assert conv_norm_bound(weight, stride=1, dilation=3) == conv_norm_bound(weight)
    assert conv_norm_bound(weight, stride=stride, dilation=stride) == conv_norm_bound(weight)


def test_large_images_come_near_the_bound_and_linf_meets_it() -> None:
    torch.manual_seed(0)
    for module in (
        nn.Conv1d(2, 3, 3, padding=1),
        nn.Conv1d(3, 2, 5, stride=2, padding=2),
        nn.ConvTranspose1d(2, 3, 5, stride=3),
        nn.Conv1d(4, 4, 3, groups=2, dilation=2),
    ):
        matrix = operator(module.double(), (module.in_channels, 120))
        shape = geometry(module)
        bound = prove_conv_norm(module.weight, shape).bound
        assert bound * (1 - 5e-3) <= float(torch.linalg.matrix_norm(matrix, 2)) <= bound * (1 + ROUNDING)
        exact = float(matrix.abs().sum(1).max())
        assert exact * (1 - ROUNDING) <= linf_conv_bound(module.weight, shape).bound <= exact * (1 + 1e-12)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stride": 0}, "stride"),
        ({"dilation": 0}, "dilation"),
        ({"padding": -1}, "padding"),
        ({"padding": "full"}, "'full'"),
        ({"padding_mode": "wrap"}, "'wrap'"),
        ({"padding_mode": "circular", "transposed": True}, "transposed"),
        ({"groups": 3}, "groups"),
        ({"groups": 0}, "groups"),
        ({"stride": (1, 2)}, "stride"),
        ({"padding_mode": "reflect", "padding": 2, "image_size": (2,)}, "image_size"),
        ({"padding_mode": "circular", "image_size": (3, 3)}, "image_size"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        conv_norm_bound(torch.ones(4, 2, 3), **options)


def test_bad_weights_are_refused() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            conv_norm_bound(torch.full((2, 2, 3), value))
    for shape in ((2, 2), (2, 2, 1, 1, 1, 1), (0, 2, 3), (2, 2, 0)):
        with pytest.raises(ValueError, match="shape|axes|empty"):
            conv_norm_bound(torch.ones(shape))
    with pytest.raises(TypeError):
        conv_norm_bound(torch.ones(2, 2, 3).long())
    with pytest.raises(TypeError, match="Linear"):
        geometry(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="axes"):
        prove_conv_norm(torch.ones(1, 1, 3), Geometry(stride=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1)))
