"""What the networks share: layers by their names, and chains of dense layers and activations."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from taut import nn as tnn
from taut.nn.composition.constrained import is_constrained


def named(option: str, name: str, known: Mapping[str, type[nn.Module]]) -> type[nn.Module]:
    """The class of that name. ValueError, with the names that there are, for another."""
    if name not in known:
        raise ValueError(f"{option} must be one of {', '.join(known)}, got {name!r}")
    return known[name]


def made_activation(cls: type[nn.Module], channels: int, group_size: int) -> tuple[nn.Module, int]:
    """An activation on so many channels, and the number of channels that it returns."""
    known: dict[str, Any] = {"group_size": group_size, "channels": channels}
    act = cls(**{key: value for key, value in known.items() if key in inspect.signature(cls).parameters})
    # Some activations return fewer channels than they take; only they know how many, or that the width does not fit.
    return act, act(torch.zeros(1, channels)).shape[1]


def dense_layers(
    features: int,
    *,
    width: int,
    depth: int,
    linear: Callable[[int, int], nn.Module],
    activation: type[nn.Module],
    group_size: int,
    dropout: float = 0.0,
) -> tuple[list[nn.Module], int]:
    """`depth` linear layers to `width` features, each before an activation, and dropout after it where it is not 0; and
    the features that come out."""
    if depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    if depth and width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    layers: list[nn.Module] = []
    for _ in range(depth):
        act, narrowed = made_activation(activation, width, group_size)
        layers += [linear(features, width), act, *drops(dropout)]
        features = narrowed
    return layers, features


def chain(*layers: nn.Module, lipschitz: float) -> nn.Sequential:
    """K times the layers one after the other: a `taut.nn.Sequential`, whose K is a promise, where all are constrained.

    Dropout and torch's own layers are not; with them it is a torch.nn.Sequential, which promises nothing.
    """
    if all(is_constrained(layer) for layer in layers):
        return tnn.Sequential(*layers, lipschitz=lipschitz)
    *body, head = layers
    if not 0 < lipschitz < math.inf:
        raise ValueError(f"lipschitz must be a positive finite number, got {lipschitz!r}")
    if lipschitz != 1.0:
        scaled = is_constrained(head)
        head = tnn.Sequential(head, lipschitz=lipschitz) if scaled else nn.Sequential(head, tnn.Scale(lipschitz))
    return nn.Sequential(*body, head)


def drops(share: float, cls: type[nn.Module] = nn.Dropout) -> list[nn.Module]:
    """A layer that drops this share in training, or none for 0. ValueError for a share outside [0, 1)."""
    if not 0 <= share < 1:
        raise ValueError(f"dropout must be in [0, 1), got {share:g}")
    return [cls(share)] if share else []


def check_shape(shape: tuple[int, ...]) -> None:
    """ValueError unless it is one size or more, each at least 1."""
    if not shape or min(shape) < 1:
        raise ValueError(f"the shape of an input must be positive sizes, got {shape}")
