"""Proven lower bounds of single layers, against the exact norm of the explicit operator."""

import copy

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from taut.certify.estimates.attained import conv_attained, linear_attained

NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])
TIGHT = 1e-11


@NORMS
@given(rows=st.integers(1, 7), columns=st.integers(1, 7), seed=st.integers(0, 10**6), exponent=st.integers(-900, 900))
@settings(max_examples=40, deadline=None)
def test_of_a_matrix_never_above_and_nearly_equal(norm: str, rows: int, columns: int, seed: int, exponent: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    if seed % 3 == 0:
        weight = torch.linalg.qr(weight)[0]  # all singular values 1: any vector is a witness
    weight = weight * 2.0**exponent
    with mpmath.workdps(40):
        matrix = mpmath.matrix((weight * 2.0**-exponent).tolist())
        if norm == "l2":
            exact = max(mpmath.svd_r(matrix, compute_uv=False))
        else:
            exact = max(mpmath.fsum(abs(x) for x in row) for row in matrix.tolist())
        found = mpmath.ldexp(mpmath.mpf(linear_attained(weight, norm)), -exponent)
        assert (1 - TIGHT) * exact <= found <= exact


@NORMS
def test_where_nothing_is_certain_it_is_zero(norm: str) -> None:
    for weight in (torch.zeros(2, 3), torch.full((2, 3), 5e-324), torch.full((2, 3), torch.inf)):
        assert linear_attained(weight.double(), norm) in (0.0, 5e-324 if norm == "linf" else 0.0)


CONVOLUTIONS = [
    nn.Conv1d(2, 3, 5, dilation=2, padding=4),
    nn.Conv2d(3, 4, 3, padding=1),
    nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
    nn.Conv2d(2, 2, 3, padding=2, padding_mode="circular"),
    nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"),
    nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1),
    nn.Conv3d(1, 2, 2),
]


def operator(layer: nn.Module, size: tuple[int, ...]) -> Tensor:
    without = copy.deepcopy(layer)
    without.bias = None
    units = torch.eye(torch.Size(size).numel(), dtype=torch.float64).reshape(-1, *size)
    return without(units).flatten(1).T


@NORMS
@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=repr)
def test_of_a_convolution_never_above_and_near(norm: str, layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).double().requires_grad_(False)
    layer.reset_parameters()
    image = (8,) * len(layer.kernel_size) if not isinstance(layer, nn.Conv3d) else (4, 4, 4)
    matrix = operator(layer, (layer.in_channels, *image))
    exact = float(torch.linalg.matrix_norm(matrix, 2 if norm == "l2" else torch.inf))
    generator = torch.Generator().manual_seed(0)
    found = conv_attained(layer, norm, image=image, generator=generator, out_of_time=lambda: False)
    assert 0.99 * exact <= found <= exact * (1 + 1e-13)
    hasty = conv_attained(layer, norm, image=image, generator=generator, out_of_time=lambda: True)
    assert 0.0 < hasty <= exact * (1 + 1e-13)
    assert conv_attained(layer, norm, image=None, generator=generator, out_of_time=lambda: False) >= 0.7 * exact


def test_a_cut_image_is_not_above_the_whole_one() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 2, 3, stride=2, padding=1).double().requires_grad_(False)
    exact = float(torch.linalg.matrix_norm(operator(layer, (1, 33, 33)), 2))
    generator = torch.Generator().manual_seed(0)
    found = conv_attained(layer, "l2", image=(33, 33), generator=generator, out_of_time=lambda: False)
    assert 0.9 * exact <= found <= exact


def test_the_image_of_a_circular_convolution_is_not_cut() -> None:
    """This kernel resonates with a circle of 16 pixels, not with one of 20."""
    layer = nn.Conv1d(1, 1, 9, padding=4, padding_mode="circular", bias=False).double().requires_grad_(False)
    layer.weight.copy_(torch.cos(2 * torch.pi * 3 / 16 * torch.arange(-4, 5)).reshape(1, 1, 9))
    exact = {side: float(torch.linalg.matrix_norm(operator(layer, (1, side)), 2)) for side in (16, 20)}
    assert exact[20] < 0.99 * exact[16]
    generator = torch.Generator().manual_seed(0)
    found = conv_attained(layer, "l2", image=(20,), generator=generator, out_of_time=lambda: False)
    assert 0.99 * exact[20] <= found <= exact[20]
