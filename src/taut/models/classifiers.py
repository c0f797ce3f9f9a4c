"""The classifiers by name: what `model.architecture` of a configuration chooses among."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import nn

from taut.models.convnet import CONVNETS, convnet
from taut.models.distances import distance_net
from taut.models.lenet import lenet
from taut.models.lipconvnet import LIPCONVNETS, lipconvnet
from taut.models.lipnext import lipnext
from taut.models.liresnet import liresnet
from taut.models.mlp import mlp
from taut.models.resnets import PLANS, resnet
from taut.models.sll import SLL_SIZES, sll_network
from taut.models.standardise import Standardise


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """What can be chosen of a classifier; an architecture refuses what it has no use for."""

    width: int | None = None
    """Features of each hidden dense layer; None is the published number of the architecture, 512 without one."""
    depth: int | None = None
    """Number of hidden dense layers; None is the published number of the architecture, 3 without one."""
    channels: int = 0
    """Channels of the first convolution; 0 is the published number of the architecture."""
    blocks: int = 0
    """Convolutions, or blocks, in all or of each stage; 0 is the published number of the architecture."""
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
    inputs: str = "as-is"
    """What comes before the first layer; a key of `INPUTS`."""


INPUTS = {"as-is": None, "centred": False, "standardised": True}
"""What can come before the first layer: nothing, or `Standardise` that subtracts means, without and with scales."""


Builder = Callable[[tuple[int, ...], int, ClassifierOptions], nn.Module]
"""From the shape of one input, the number of classes and the options to the network. ValueError or TypeError for what
cannot be built."""


def classifiers() -> dict[str, Builder]:
    """Every architecture by its name.

    >>> net = classifiers()["mlp"]((1, 8, 8), 10, ClassifierOptions(width=16, depth=1))
    >>> [type(layer).__name__.removeprefix("Parametrized") for layer in net]
    ['Flatten', 'BjorckLinear', 'MaxMin', 'UnitNormLinear']
    """
    known = {
        "mlp": _built(mlp, *_DENSE, *_ACTIVATED, *_LAST, "dropout", "bjorck_steps"),
        "lenet": _built(lenet, *_CONVOLVED, *_DENSE, *_ACTIVATED, *_LAST, "dropout", "bjorck_steps"),
        "distances": _built(distance_net, *_DENSE, "relaxation", "lipschitz", "dropout"),
        **{
            name: _built(sll_network, "channels", "blocks", "width", "depth", *_LAST, own=vars(size))
            for name, size in SLL_SIZES.items()
        },
        **{
            name: _built(lipconvnet, *_CONVOLVED, "blocks", *_ACTIVATED, *_LAST, own={"blocks": blocks})
            for name, blocks in LIPCONVNETS.items()
        },
        **{
            name: _built(convnet, *_CONVOLVED, "blocks", *_ACTIVATED, *_LAST, own={"channels": channels})
            for name, channels in CONVNETS.items()
        },
        "liresnet": _built(liresnet, *_CONVOLVED, "blocks", *_DENSE, *_ACTIVATED, *_LAST, "dropout"),
        "lipnext": _built(lipnext, "channels", "blocks", "linear", *_LAST),
        **{name: _residual(name) for name in PLANS},
    }
    return {name: _with_inputs(build) for name, build in known.items()}


def _with_inputs(build: Builder) -> Builder:
    """The networks of `build`, behind what `options.inputs` asks for."""

    def built(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
        network = build(shape, classes, replace(options, inputs="as-is"))
        if options.inputs not in INPUTS:
            raise ValueError(f"inputs must be one of {', '.join(INPUTS)}, got {options.inputs!r}")
        if (scaled := INPUTS[options.inputs]) is None:
            return network
        return nn.Sequential(Standardise(shape[0], spatial=len(shape) - 1, scaled=scaled), network)

    return built


_DENSE = ("linear", "width", "depth")
_CONVOLVED = ("convolution", "channels")
_ACTIVATED = ("activation", "group_size")
_LAST = ("head", "lipschitz")


def _built(make: Callable[..., nn.Module], *used: str, own: dict[str, Any] | None = None) -> Builder:
    """A builder that gives `make` the options called `used`, and in the place of those without a value its `own`."""

    def build(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
        known = ClassifierOptions()
        for field in fields(options):
            given = getattr(options, field.name)
            if field.name not in used and given != getattr(known, field.name):
                raise ValueError(
                    f"this architecture has no {field.name.replace('_', '-')} to choose, got {given!r}: it has "
                    f"{', '.join(sorted(name.replace('_', '-') for name in used))}{_LEAVE_OUT.get(field.name, '')}"
                )
        chosen = {name: getattr(options, name) for name in used}
        given = {name: value for name, value in chosen.items() if name not in _UNSET or value != _UNSET[name]}
        return make(shape, classes, **{**(own or {}), **given})

    return build


_LEAVE_OUT = {name: f" (--{name} None leaves out what a recipe gives)" for name in ("width", "depth")}
_UNSET = {"width": None, "depth": None, "channels": 0, "blocks": 0}
"""Options that leave it to the architecture, and how they say so."""


def _residual(name: str) -> Builder:
    def build(shape: tuple[int, ...], classes: int, options: ClassifierOptions) -> nn.Module:
        plain = {"convolution": "conv", "linear": "linear", "activation": "relu", "head": "linear", "lipschitz": 1.0}
        known = ClassifierOptions()
        for option, own in plain.items():
            if (given := getattr(options, option)) not in (own, getattr(known, option)):
                raise ValueError(f"{name} is as published, of torch's own layers: {option} must be {own}, got {given}")
        return resnet(name, shape, classes, channels=options.channels, dropout=options.dropout)

    return build
