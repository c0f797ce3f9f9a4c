"""Critics keep their constant in l2 for every layer that they take, and say what they do not take."""

import pytest
import torch

from taut import certify, models
from taut import nn as tnn

K = 2.5
ROUNDING = 1e-5
"""Float32 evaluation of a few layers; orthogonal ones are so to 4e-6."""


def gradient_norms(critic: torch.nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    x = torch.rand(20, *shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    return gradient.flatten(1).norm(dim=1)


@pytest.mark.parametrize("linear", models.critic_linears())
def test_the_proven_constant_of_every_dense_critic_is_the_one_asked_for(linear: str) -> None:
    torch.manual_seed(0)
    critic = models.dense_critic((1, 4, 4), width=12, depth=2, linear=linear, lipschitz=K)
    assert float(gradient_norms(critic, (1, 4, 4)).max()) <= certify.lipschitz_bound(critic) * (1 + ROUNDING)
    assert certify.lipschitz_bound(critic) <= K * (1 + ROUNDING)


@pytest.mark.parametrize("linear", ["bjorck", "bro", "cayley", "cholesky", "exp", "householder", "qr"])
def test_orthogonal_layers_that_narrow_keep_the_gradients_norm(linear: str) -> None:
    torch.manual_seed(0)
    critic = models.dense_critic((1, 4, 4), width=12, depth=2, linear=linear, lipschitz=K)
    assert torch.allclose(gradient_norms(critic, (1, 4, 4)), torch.tensor(K), rtol=ROUNDING)
    assert certify.lipschitz_bound(critic) >= K * (1 - ROUNDING)


@pytest.mark.parametrize("activation", models.critic_activations())
def test_every_activation_keeps_the_constant(activation: str) -> None:
    torch.manual_seed(0)
    critic = models.dense_critic((6,), width=12, depth=2, activation=activation, lipschitz=K)
    norms = gradient_norms(critic, (6,))
    assert float(norms.max()) <= K * (1 + ROUNDING)
    assert float(norms.max()) > 0
    assert certify.lipschitz_bound(critic) == pytest.approx(K, rel=ROUNDING)


def test_a_spectral_norm_critic_has_weights_of_norm_one_that_are_not_orthogonal() -> None:
    torch.manual_seed(0)
    critic = models.dense_critic((30,), width=20, depth=1, linear="spectral-norm", activation="relu")
    free = critic[1].parametrizations.weight.original
    free.data = torch.randn_like(free)
    values = torch.linalg.svdvals(critic[1].weight.double())
    assert 0.95 < values[0] <= 1 + ROUNDING
    assert values[-1] < 0.5
    assert certify.lipschitz_bound(critic) <= 1 + ROUNDING


@pytest.mark.parametrize("convolution", models.critic_convolutions())
def test_the_proven_constant_of_every_convolutional_critic_is_the_one_asked_for(convolution: str) -> None:
    torch.manual_seed(0)
    # what keeps the number of channels is a residual block, for which the halving makes them fit
    critic = models.conv_critic((3, 8, 8), width=12, dense_width=16, convolution=convolution, lipschitz=K)
    bound = certify.lipschitz_bound(critic, input_shape=(3, 8, 8))
    assert float(gradient_norms(critic, (3, 8, 8)).max()) <= bound * (1 + ROUNDING)
    assert bound <= K * (1 + ROUNDING)


@pytest.mark.parametrize(("convolution", "downsampling"), [("aoc", "pixels"), ("aoc", "stride"), ("bcop", "pixels")])
def test_orthogonal_convolutions_on_the_torus_keep_the_gradients_norm(convolution: str, downsampling: str) -> None:
    torch.manual_seed(0)
    critic = models.conv_critic(
        (3, 8, 8), width=12, dense_width=16, convolution=convolution, downsampling=downsampling, lipschitz=K
    )
    assert torch.allclose(gradient_norms(critic, (3, 8, 8)), torch.tensor(K), rtol=ROUNDING)


@pytest.mark.parametrize("downsampling", ["pixels", "stride"])
@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
def test_each_level_halves_and_widens(downsampling: str, padding_mode: str) -> None:
    critic = models.conv_critic(
        (1, 28, 28), width=6, dense_width=20, dense_depth=2, downsampling=downsampling, padding_mode=padding_mode
    )
    assert critic(torch.rand(3, 1, 28, 28)).shape == (3, 1)
    dense = [(m.in_features, m.out_features) for m in critic if isinstance(m, torch.nn.Linear)]
    assert dense == [(12 * 7 * 7, 20), (20, 20), (20, 1)]
    assert certify.lipschitz_bound(critic, input_shape=(1, 28, 28)) <= 1 + ROUNDING


def test_a_narrowing_activation_is_followed_by_narrower_layers() -> None:
    critic = models.conv_critic((1, 8, 8), width=6, dense_width=9, activation="max-out", group_size=3)
    dense = [(m.in_features, m.out_features) for m in critic if isinstance(m, torch.nn.Linear)]
    assert dense == [(4 * 2 * 2, 9), (3, 1)]


def test_layers_of_another_norm_are_no_choice() -> None:
    assert set(tnn.linears()) - set(models.critic_linears()) == {"linf", "linf-dist", "sort", "unit-norm"}
    left_out = set(tnn.convolutions()) - set(models.critic_convolutions())
    assert {name for name in left_out if not name.endswith(("1d", "3d", "transpose"))} == {"linf"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"depth": -1}, "depth must not be negative, got -1"),
        ({"shape": (0, 4)}, "positive sizes"),
        ({"linear": "linf"}, "linear must be one of .*bjorck.*, got 'linf'"),
        ({"activation": "gelu"}, "activation must be one of .*relu.*, got 'gelu'"),
        ({"activation": "group-sort", "group_size": 5}, "5"),
        ({"lipschitz": -1.0}, "lipschitz must be a positive finite number"),
    ],
)
def test_a_dense_critic_that_cannot_be_built_is_refused_with_the_value(options: dict, reason: str) -> None:
    arguments = {"shape": (4,), "width": 12} | options
    with pytest.raises(ValueError, match=reason):
        models.dense_critic(arguments.pop("shape"), **arguments)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shape": (64,)}, r"must be \(channels, height, width\)"),
        ({"shape": (1, 6, 8)}, r"2\^levels divides.*got \(1, 6, 8\) and levels 2"),
        ({"levels": 0}, "levels at least 1.*levels 0"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"convolution": "linf"}, "convolution must be one of .*aoc.*, got 'linf'"),
        ({"downsampling": "pool"}, "downsampling must be 'pixels' or 'stride', got 'pool'"),
        ({"padding_mode": "reflect"}, "padding_mode must be .*got 'reflect'"),
        ({"convolution": "bcop", "downsampling": "stride"}, "stride must be 1"),
    ],
)
def test_a_convolutional_critic_that_cannot_be_built_is_refused_with_the_value(options: dict, reason: str) -> None:
    arguments = {"shape": (1, 8, 8), "width": 4, "dense_width": 8} | options
    with pytest.raises(ValueError, match=reason):
        models.conv_critic(arguments.pop("shape"), **arguments)
