"""Norms of convolutions and kernels scaled by them against explicit operators in float64."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.functional import almost_orthogonal_kernel, conv_norm, spectral_normalize_kernel
from taut.functional.polyphase import from_unit_stride, phases, to_unit_stride

EPS = torch.finfo(torch.float64).eps
CONVOLVE = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}
GEOMETRIES = st.tuples(
    st.integers(1, 2),  # axes
    st.integers(1, 2),  # groups
    st.tuples(st.integers(1, 4), st.integers(1, 3)),  # channels of a group
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=2),
    st.integers(0, 10_000),
)


def kernel_and_geometry(case: Any) -> tuple[torch.Tensor, dict[str, Any]]:
    axes, groups, (out, inputs), each, seed = case
    size, stride, dilation = (tuple(values) for values in zip(*each[:axes], strict=True))
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(groups * out, inputs, *size, generator=generator, dtype=torch.float64)
    return kernel, {"stride": stride, "dilation": dilation, "groups": groups}


def operator(kernel: torch.Tensor, geometry: dict[str, Any], image: int, *, circular: bool) -> torch.Tensor:
    """The matrix of the convolution, column by column: on a torus, or with zeros around the image."""
    axes, channels = kernel.dim() - 2, kernel.shape[1] * geometry["groups"]
    basis = torch.eye(channels * image**axes, dtype=torch.float64).reshape(-1, channels, *[image] * axes)
    for axis, (k, d) in enumerate(zip(kernel.shape[2:], geometry["dilation"], strict=True), start=2):
        reach = d * (k - 1)
        if circular:
            repeated = torch.cat([basis] * (2 + reach // image), dim=axis)
            basis = repeated.narrow(axis, 0, image + reach)
        else:
            before, after = (list(basis.shape) for _ in range(2))
            before[axis] = after[axis] = reach
            basis = torch.cat([basis.new_zeros(before), basis, basis.new_zeros(after)], dim=axis)
    return CONVOLVE[axes](basis, kernel, **geometry).flatten(1).mT


@settings(max_examples=60, deadline=None)
@given(GEOMETRIES, st.booleans())
def test_bound_is_above_the_operator(case: Any, circular: bool) -> None:
    kernel, geometry = kernel_and_geometry(case)
    image = 6  # every stride divides it
    norm = float(torch.linalg.matrix_norm(operator(kernel, geometry, image, circular=circular), ord=2))
    bounds = conv_norm(kernel, **geometry)
    assert norm <= float(bounds.max())
    for scaled in (spectral_normalize_kernel(kernel, **geometry), almost_orthogonal_kernel(kernel, **geometry)):
        gain = float(torch.linalg.matrix_norm(operator(scaled, geometry, image, circular=circular), ord=2))
        assert gain <= 1 + 64 * EPS


@settings(max_examples=30, deadline=None)
@given(GEOMETRIES)
def test_bound_is_as_close_as_it_says(case: Any) -> None:
    kernel, geometry = kernel_and_geometry(case)
    if geometry["groups"] > 1:
        return
    axes = kernel.dim() - 2
    image = 72 if axes == 1 else 24
    if axes == 2 and kernel.shape[1] > 1:
        kernel = kernel[:, :1]  # so that the operator stays small
    norm = float(torch.linalg.matrix_norm(operator(kernel, geometry, image, circular=True), ord=2))
    # the torus itself has a grid of frequencies, so that its norm may be as much below the endless plane's
    spread = [(k - 1) * d / image for k, d in zip(kernel.shape[2:], geometry["dilation"], strict=True)]
    grid = float(torch.tensor([torch.pi * s / 2 for s in spread]).cos().prod())
    if grid > 0:
        for oversampling in (4, 12):
            factor = float(torch.tensor(torch.pi / 2 / oversampling).cos()) ** axes
            bound = float(conv_norm(kernel, **geometry, oversampling=oversampling))
            assert bound <= norm / (grid * factor) * (1 + 1e3 * EPS)


def test_each_group_has_its_own_bound() -> None:
    kernel = torch.cat([torch.ones(1, 2, 3), 10 * torch.ones(1, 2, 3)])
    small, large = conv_norm(kernel, stride=(1,), dilation=(1,), groups=2)
    assert float(large / small) == pytest.approx(10, rel=1e-6)
    assert float(small) == pytest.approx(3 * 2**0.5, rel=1e-2)


@pytest.mark.parametrize("channels", [1, 8, 40])
def test_bound_holds_in_float32(channels: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    for kernel in (
        torch.randn(channels, channels, 3, 3, generator=generator),
        torch.linalg.qr(torch.randn(9 * channels, channels, generator=generator))[0].mT.reshape(-1, channels, 3, 3),
        torch.ones(channels, channels, 3, 3),
    ):
        bound = float(conv_norm(kernel, stride=(1, 1), dilation=(1, 1)))
        symbols = torch.fft.fft2(kernel.double(), s=(24, 24)).permute(2, 3, 0, 1)
        assert bound >= float(torch.linalg.svdvals(symbols).max())


@settings(max_examples=20, deadline=None)
@given(GEOMETRIES)
def test_gradients_are_exact(case: Any) -> None:
    kernel, geometry = kernel_and_geometry(case)
    for function in (conv_norm, spectral_normalize_kernel, almost_orthogonal_kernel):
        # along random directions: entry by entry takes a hundred times as many calls
        call = partial(function, **geometry)
        assert torch.autograd.gradcheck(call, (kernel.requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("function", [spectral_normalize_kernel, almost_orthogonal_kernel])
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e-20, 1e30])
def test_any_scale_is_finite_and_bounded(function: Any, scale: float) -> None:
    kernel = scale * torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    kernel.requires_grad_()
    scaled = function(kernel, stride=(1, 1), dilation=(1, 1))
    scaled.sum().backward()
    if scale != 1e-40:  # where the true gradient is beyond float32
        assert bool(kernel.grad.isfinite().all())
    symbols = torch.fft.fft2(scaled.detach().double(), s=(24, 24)).permute(2, 3, 0, 1)
    assert float(torch.linalg.svdvals(symbols).max()) <= 1
    assert (scale == 0) == (not bool(scaled.any()))


def test_many_channels_take_the_same_values_either_way() -> None:
    kernel = torch.randn(2, 200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    halves = {"stride": (1,), "dilation": (1,)}
    alone = almost_orthogonal_kernel(kernel[:, :90].contiguous(), **halves)
    padded = torch.cat([kernel[:, :90], torch.zeros_like(kernel[:, :110])], dim=1)
    torch.testing.assert_close(almost_orthogonal_kernel(padded, **halves)[:, :90], alone, rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None)
@given(GEOMETRIES)
def test_phases_can_be_taken_apart_and_put_together(case: Any) -> None:
    kernel, geometry = kernel_and_geometry(case)
    strides = phases(geometry["stride"], geometry["dilation"])
    unit = to_unit_stride(kernel, strides=strides, groups=geometry["groups"])
    assert torch.equal(from_unit_stride(unit, strides=strides, size=kernel.shape[2:]), kernel)


@pytest.mark.parametrize("function", [conv_norm, spectral_normalize_kernel])
def test_bad_options_are_refused_by_value(function: Any) -> None:
    with pytest.raises(ValueError, match="got 1"):
        function(torch.ones(1, 1, 3), stride=(1,), dilation=(1,), oversampling=1)


def test_not_a_number_stays_one() -> None:
    kernel = torch.full((2, 1, 3), torch.nan)
    assert bool(conv_norm(kernel, stride=(1,), dilation=(1,)).isnan().all())


@pytest.mark.parametrize("oversampling", [2, 3, 12])
@pytest.mark.parametrize("taps", [2, 3, 5])
def test_bound_holds_between_the_points_of_the_grid(taps: int, oversampling: int) -> None:
    """A cosine whose frequency is halfway between two points of the grid."""
    angle = torch.pi / (oversampling * (taps - 1))
    turn = torch.arange(taps, dtype=torch.float64) * angle
    kernel = torch.stack([torch.stack([turn.cos(), turn.sin()]), torch.stack([-turn.sin(), turn.cos()])])
    waves = torch.exp(-1j * angle * torch.arange(taps, dtype=torch.float64))
    peak = float(torch.linalg.svdvals((kernel * waves).sum(2))[0])
    bound = float(conv_norm(kernel, stride=(1,), dilation=(1,), oversampling=oversampling))
    assert peak == pytest.approx(taps, rel=1e-12)
    assert peak <= bound <= peak / torch.cos(torch.tensor(torch.pi / 2 / oversampling)) * (1 + 1e-6)
