"""Networks of denoisers: 1-Lipschitz on pictures of every size, measured by explicit Jacobians."""

import pytest
import torch

import taut
from taut import models
from taut import nn as tnn

ROUNDING = 2**10 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("padding", ["circular", "zeros"])
@pytest.mark.parametrize("activation", ["max-min", "group-sort", "linear-spline", "max-out"])
def test_no_jacobian_exceeds_the_proven_constant(padding, activation: str) -> None:
    torch.manual_seed(0)
    network = models.conv_denoiser(
        width=8, depth=3, activation=activation, group_size=4, spline_range=0.5, padding_mode=padding
    )
    bound = taut.lipschitz_bound(tnn.fold(network))  # without a shape: for all of them
    assert 1 <= bound < 1 + ROUNDING
    network.double()
    for sides in ((5, 6), (9, 3)):
        x = torch.rand(1, 1, *sides, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(network, x).reshape(x.numel(), x.numel())
        assert torch.linalg.matrix_norm(jacobian, 2) <= bound
        assert torch.linalg.matrix_norm(jacobian, 2) > 0.3


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_at_half_the_resolution_it_is_1_lipschitz_and_proven_for_every_size(padding: str) -> None:
    torch.manual_seed(0)
    network = models.conv_denoiser(width=8, depth=3, padding_mode=padding, downsampling=2)
    bound = taut.lipschitz_bound(tnn.fold(network))
    assert 1 <= bound < 1 + ROUNDING
    x = torch.rand(1, 1, 6, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network.double(), x).reshape(48, 48)
    assert 0.3 < torch.linalg.matrix_norm(jacobian, 2) <= bound
    plain = models.plain_denoiser(width=8, depth=3, downsampling=2).double()
    assert (plain(x) - x).abs().max() < 0.1
    assert taut.lipschitz_bound(plain) < 100


def test_the_unconstrained_net_is_as_large_and_proven_for_every_size() -> None:
    torch.manual_seed(0)
    plain, constrained = models.plain_denoiser(3, width=6, depth=4), models.conv_denoiser(3, width=6, depth=4)
    kernels = [[tuple(m.weight.shape) for m in net if isinstance(m, torch.nn.Conv2d)] for net in (plain, constrained)]
    assert kernels[0] == kernels[1]
    assert plain(torch.zeros(2, 3, 5, 9)).shape == (2, 3, 5, 9)
    picture = torch.rand(2, 3, 5, 9)
    assert (plain(picture) - picture).abs().max() < 0.1  # it starts near the identity
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter *= 4
    bound = taut.lipschitz_bound(plain)
    x = torch.rand(1, 3, 6, 6)
    jacobian = torch.autograd.functional.jacobian(plain, x).reshape(x.numel(), x.numel())
    assert 1 < torch.linalg.matrix_norm(jacobian, 2) <= bound


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth": 1}, "depth at least 2, got width 64 and depth 1"),
        ({"downsampling": 0}, "downsampling must be at least 1, got 0"),
        ({"width": 3, "downsampling": 2}, r"width must be at least channels downsampling\^2 = 4"),
        ({"width": 0}, r"width must be at least channels downsampling\^2 = 1"),
        ({"convolution": "conv"}, "convolution must be one of"),
        ({"padding_mode": "reflect"}, "padding_mode must be 'circular' or 'zeros'"),
        ({"width": 6, "activation": "group-sort", "group_size": 4}, "4"),
        ({"depth": 4, "threshold": 0.1}, "a threshold is for n-activation and linear-spline, not for MaxMin"),
        ({"depth": 5, "threshold": 0.1, "activation": "n-activation"}, "the depth must be even, got 5"),
        ({"depth": 4, "threshold": -1.0, "activation": "n-activation"}, "finite number that is not negative, got -1"),
        ({"depth": 4, "threshold": 0.1, "convolution": "sll"}, "SLLConv2d cannot be given a weight"),
    ],
)
def test_what_no_network_has_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        models.conv_denoiser(**options)
    with pytest.raises(ValueError, match="channels must be 1"):
        models.plain_denoiser(2)


def around(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv2d(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), kernel)


@pytest.mark.parametrize("activation", ["n-activation", "linear-spline"])
def test_a_threshold_starts_it_as_soft_thresholding_of_filter_responses(activation: str) -> None:
    torch.manual_seed(0)
    options = {"width": 16, "activation": activation, "threshold": 0.02, "spline_range": 0.5, "knots": 51}
    network = models.conv_denoiser(depth=2, **options)
    first, last = network[0].weight, network[2].weight
    adjoint = first.transpose(0, 1).flip(-2, -1)
    assert (last - adjoint).norm() < 0.1 * adjoint.norm()  # another start is off by 1.2
    x = torch.rand(2, 1, 8, 9)
    seen = around(x, first)
    expected = around(2 * torch.nn.functional.softshrink(seen, 0.02) - seen, last)
    assert (network(x) - expected).abs().max() < ROUNDING
    assert (network(x) - x).abs().max() > 1e-2
    deep = models.conv_denoiser(depth=4, **options)
    seen = around(around(x, deep[0].weight), deep[2].weight)
    expected = around(around(2 * torch.nn.functional.softshrink(seen, 0.02) - seen, deep[4].weight), deep[6].weight)
    assert (deep(x) - expected).abs().max() < ROUNDING
    assert taut.lipschitz_bound(tnn.fold(deep)) < 1 + ROUNDING
