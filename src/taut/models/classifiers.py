"""The classifiers by name: what `model.architecture` of a configuration chooses among."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from taut.models.distances import distance_net
from taut.models.lenet import lenet
from taut.models.mlp import mlp
from taut.models.resnets import PLANS, resnet


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """What can be chosen of a classifier of any architecture; each uses what it has a use for."""

    width: int = 512
    """Features of each hidden dense layer."""
    depth: int = 3
    """Number of hidden dense layers."""
    channels: int = 0
    """Channels of the first convolution; 0 is the published number of the architecture."""
    linear: str = "bjorck"
    """Hidden dense layers."""
    convolution: str = "aoc"
    """Convolutions."""
    activation: str = "max-min"
    """Activations."""
    group_size: int = 2
    """Of the activations that have groups."""
    head: str = "unit-norm"
    """Last linear layer."""
    lipschitz: float = 1.0
    """Factor of the logits."""
    dropout: float = 0.0
    """Share that training sets to 0."""
    bjorck_steps: int = 0
    """Steps of bjorck layers; 0 is the limit."""
    relaxation: str = "soft"
    """How layers of distances are relaxed."""


Builder = Callable[[tuple[int, ...], int, ClassifierOptions], nn.Module]
"""From the shape of one input, the number of classes and the options to the network. ValueError or TypeError for what
cannot be built."""


def classifiers() -> dict[str, Builder]:
    """Every architecture by its name.

    >>> net = classifiers()["mlp"]((1, 8, 8), 10, ClassifierOptions(width=16, depth=1))
    >>> [type(layer).__name__.removeprefix("Parametrized") for layer in net]
    ['Flatten', 'BjorckLinear', 'MaxMin', 'UnitNormLinear']
    """
    return {"mlp": _mlp, "lenet": _lenet, "distances": _distances, **{name: _residual(name) for name in PLANS}}


def _mlp(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
    if options.channels or options.convolution != ClassifierOptions().convolution:
        raise ValueError("an mlp has no convolutions: leave channels and convolution, or take another architecture")
    return mlp(
        shape,
        classes,
        width=options.width,
        depth=options.depth,
        linear=options.linear,
        activation=options.activation,
        group_size=options.group_size,
        head=options.head,
        lipschitz=options.lipschitz,
        dropout=options.dropout,
        bjorck_steps=options.bjorck_steps,
    )


def _distances(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
    known = ClassifierOptions()
    for option in ("channels", "convolution", "activation", "group_size", "bjorck_steps", "head"):
        if getattr(options, option) != getattr(known, option):
            raise ValueError(f"a network of distances has no {option} to choose, got {getattr(options, option)!r}")
    return distance_net(
        shape,
        classes,
        width=options.width,
        depth=options.depth,
        linear=options.linear,
        relaxation=options.relaxation,
        drop=options.dropout,
        lipschitz=options.lipschitz,
    )


def _lenet(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
    return lenet(
        shape,
        classes,
        channels=options.channels or 10,
        width=options.width,
        depth=options.depth,
        convolution=options.convolution,
        linear=options.linear,
        activation=options.activation,
        group_size=options.group_size,
        head=options.head,
        lipschitz=options.lipschitz,
        dropout=options.dropout,
        bjorck_steps=options.bjorck_steps,
    )


def _residual(name: str) -> Builder:
    def build(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
        plain = {"convolution": "conv", "linear": "linear", "activation": "relu", "head": "linear", "lipschitz": 1.0}
        known = ClassifierOptions()
        for option, own in plain.items():
            if (given := getattr(options, option)) not in (own, getattr(known, option)):
                raise ValueError(f"{name} is as published, of torch's own layers: {option} must be {own}, got {given}")
        return resnet(name, shape, classes, channels=options.channels, dropout=options.dropout)

    return build
