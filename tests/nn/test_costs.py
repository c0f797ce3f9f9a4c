"""No layer becomes dearer unseen: products of a training step and bytes kept for its backward pass, within limits.

Both are counted by torch and the same on every machine. The limits are what was measured, rounded up; eigenvalues,
inverses and other decompositions are no products and not counted.
"""

import inspect

import pytest
import torch
from torch import nn

from costs import cost
from taut import nn as tnn

WEIGHT, KERNEL = 4 * 256 * 256, 4 * 32 * 32 * 9
"""Bytes of the weights below."""

LINEAR = {
    "aol": (3.0, 3.1), "bjorck": (7.0, 3.1), "bro": (3.9, 4.3), "cayley": (5.0, 5.1), "cholesky": (4.4, 2.1),
    "cpl": (12.7, 11.6), "exp": (99.7, 5.1), "frobenius": (1.0, 3.1), "householder": (13.7, 10.1), "linf": (1.0, 2.1),
    "linf-projected": (1.0, 0.1), "manifold": (1.0, 0.1), "parseval": (1.0, 0.1), "qr": (2.4, 2.1),
    "sandwich": (12.7, 9.6), "sll": (4.0, 5.6), "spectral-norm": (11.7, 11.1), "unit-norm": (1.0, 2.1),
}  # fmt: skip
"""256 features to 256, a batch of 128: products in those of nn.Linear, bytes in those of the weight."""

CONVOLUTION = {
    "aoc": (1.1, 3.7), "aol": (1.8, 4.8), "bcop": (1.1, 3.7), "bro": (2.5, 230.1), "cayley": (1.5, 197.1),
    "cpl": (2.4, 6.8), "linf": (1.0, 2.1), "ossn": (1.4, 2.3), "rk-l2ne": (1.1, 2.2), "rko": (1.1, 2.2),
    "sandwich": (2.4, 21.1), "sll": (2.2, 15.1), "soc": (8.4, 27.2), "spectral-norm": (1.4, 2.3), "svcm": (1.0, 0.1),
}  # fmt: skip
"""3 x 3, 32 channels to 32, 4 pictures of 16 x 16, a ninth of which in bytes is the kernel: in those of nn.Conv2d."""

ACTIVATION = {
    "abs": 0.0, "concat-relu": 2.0, "full-sort": 2.0, "group-sort": 1.25, "householder-activation": 0.53,
    "linear-spline": 3.21, "lipschitz-prelu": 2.05, "max-min": 0.5, "max-out": 0.25, "n-activation": 0.04,
    "smooth": 0.0, "smooth-max-min": 1.5,
}  # fmt: skip
"""On a batch of 64 with 256 features: bytes beside the input, in those of the input."""

DISTANCES = {"linf-dist": 0.3, "sort": 33.0}
"""Layers without products: bytes, in those of the weight."""


@pytest.mark.parametrize("name", LINEAR)
def test_linear_layers_keep_their_costs(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 256, requires_grad=True)
    found, plain = cost(tnn.linears()[name](256, 256), x), cost(nn.Linear(256, 256), x)
    assert plain.flops == 6 * 128 * 256 * 256
    assert found.flops / plain.flops <= LINEAR[name][0]
    assert found.saved / WEIGHT <= LINEAR[name][1]


@pytest.mark.parametrize("name", CONVOLUTION)
def test_convolutions_keep_their_costs(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 32, 16, 16, requires_grad=True)
    found, plain = cost(tnn.convolutions()[name](32, 32, 3), x), cost(nn.Conv2d(32, 32, 3, padding=1), x)
    assert plain.flops == 6 * 4 * 256 * 32 * 32 * 9
    assert found.flops / plain.flops <= CONVOLUTION[name][0]
    assert found.saved / KERNEL <= CONVOLUTION[name][1]


@pytest.mark.parametrize("name", ACTIVATION)
def test_activations_keep_their_memory(name: str) -> None:
    cls = tnn.activations()[name]
    needed = {"group_size": 4, "channels": 256, "num_parameters": 256, "features": 256}
    asked = {
        key for key, value in inspect.signature(cls).parameters.items() if value.default is inspect.Parameter.empty
    }
    x = torch.randn(64, 256, requires_grad=True)
    found = cost(cls(**{key: value for key, value in needed.items() if key in asked}), x)
    assert found.flops == 0
    assert found.saved / x.nbytes <= ACTIVATION[name]


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_keep_their_memory(name: str) -> None:
    x = torch.randn(16, 64, requires_grad=True)
    assert cost(tnn.linears()[name](64, 64), x).saved / (4 * 64 * 64) <= DISTANCES[name]


def test_every_layer_has_a_limit() -> None:
    pictures = {name for name, cls in tnn.convolutions().items() if cls.__name__.endswith("Conv2d")}
    assert set(tnn.linears()) == LINEAR.keys() | DISTANCES.keys()
    assert pictures == CONVOLUTION.keys()
    assert set(tnn.activations()) == ACTIVATION.keys()


def test_folded_layers_cost_what_plain_ones_do() -> None:
    x = torch.randn(8, 64, requires_grad=True)
    folded = tnn.fold(tnn.BjorckLinear(64, 64)).requires_grad_()
    assert type(folded) is nn.Linear
    assert cost(folded, x) == cost(nn.Linear(64, 64), x)
