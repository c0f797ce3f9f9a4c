"""The networks that are compared: one for each activation and kind of linear layer, in the catalogue's names."""

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from taut import nn as tnn
from taut.errors import UsageError
from taut.tasks.fit_1d.functions import INTERVAL
from taut.training.seeding import stream_seed

LINEARS = ("bjorck", "spectral-norm")
"""Orthonormal, and bounded by the spectral norm."""

_ORDER_2 = "householder-order-2"


def activation_names() -> tuple[str, ...]:
    """ReLU, and every activation of `taut.nn.activations()`; the Householder activation in both of its orders.

    >>> "relu" in activation_names(), "group-sort" in activation_names()
    (True, True)
    """
    return ("relu", *tnn.activations(), _ORDER_2)


def made_activation(name: str, width: int, *, group_size: int) -> tuple[nn.Module, int]:
    """The activation on `width` channels, and the number that it returns.

    Raises UsageError where the two do not fit.
    """
    try:
        activation = nn.ReLU() if name == "relu" else _from_catalogue(name, width, group_size)
        return activation, activation(torch.zeros(1, width)).shape[1]
    except ValueError as error:
        raise UsageError(f"{name} does not fit networks of width {width}: {' '.join(str(error).split())}") from error


def _from_catalogue(name: str, width: int, group_size: int) -> nn.Module:
    if name == _ORDER_2:
        return tnn.HouseholderActivation(width, order=2)
    cls = tnn.activations()[name]
    # max-out keeps one of a group, so a pair loses least; a spline of absolute values starts with folds, as sorts do
    own = {"max-out": {"group_size": 2}, "linear-spline": {"init": "absolute"}}.get(name, {})
    known: dict[str, Any] = {"channels": width, "group_size": group_size, **own}
    taken = inspect.signature(cls).parameters
    return cls(**{key: value for key, value in known.items() if key in taken})


def network(activation: str, linear: str, *, width: int, depth: int, group_size: int) -> tnn.Sequential:
    r"""1-width-...-width-1 with `depth` hidden layers: 1-Lipschitz (l2) from R to R.

    Raises UsageError where the activation does not fit the width.
    """
    layer = tnn.linears()[linear]
    layers: list[nn.Module] = []
    features = 1
    for _ in range(depth):
        act, narrowed = made_activation(activation, width, group_size=group_size)
        layers += [layer(features, width), act]
        features = narrowed
    return tnn.Sequential(*layers, layer(features, 1))


def seeded_network(seed: int, model: int, activation: str, linear: str, **sizes: int) -> tnn.Sequential:
    """The untrained network of model number `model` of a cell: it follows from these alone, whatever else is trained.

    `sizes` are those of `network`. The global random numbers are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("fit-1d", seed, activation, linear, model))
        return with_folds_inside(network(activation, linear, **sizes))


@torch.no_grad()
def with_folds_inside(made: tnn.Sequential) -> tnn.Sequential:
    """`made` with biases such that every hidden channel is 0 at a random point of the interval, and the mean of the
    output about 0: the activations then bend the function inside of the interval, where it can be trained.

    With the biases of torch.nn.Linear most kinks lie outside of it, and training stays at the constant function.
    """
    low, high = INTERVAL
    linears = [layer for layer in made if isinstance(layer, nn.Linear)]
    points = low + (high - low) * torch.rand(max(layer.out_features for layer in linears), 1)
    values = points
    for layer in made:
        if isinstance(layer, nn.Linear):
            before = functional.linear(values, layer.weight)
            place = torch.randperm(len(points))[: layer.out_features]
            each = before.mean(0) if layer is linears[-1] else before[place, torch.arange(layer.out_features)]
            layer.bias.copy_(-each)
        values = layer(values)
    return made
