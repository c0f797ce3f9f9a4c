"""The layers that classifiers are made of, by name: those of `taut.nn`, and torch's own to compare with."""

from collections.abc import Callable
from functools import partial

from torch import nn

from taut import nn as tnn
from taut.models._parts import named


def classifier_linears() -> dict[str, type[nn.Module]]:
    """The linear layers of a classifier: `taut.nn.linears()`, and "linear", torch's own without any constraint.

    >>> classifier_linears()["linear"].__name__
    'Linear'
    """
    return {**tnn.linears(), "linear": nn.Linear}


def classifier_convolutions() -> dict[str, type[nn.Module]]:
    """The convolutions of a classifier of pictures: those of `taut.nn.convolutions()` in two dimensions that are not
    transposed, and "conv", torch's own without any constraint.

    >>> known = classifier_convolutions()
    >>> known["conv"].__name__, "linf" in known, "rko-3d" in known
    ('Conv2d', True, False)
    """
    known = tnn.convolutions().items()
    pictures = {name: cls for name, cls in known if not name.endswith(("1d", "3d", "transpose"))}
    return {**pictures, "conv": nn.Conv2d}


def classifier_linear(option: str, name: str, bjorck_steps: int) -> Callable[[int, int], nn.Module]:
    """What makes the linear layer called `name`, a "bjorck" one with so many steps (0: the limit). ValueError for a
    name that is not known."""
    cls = named(option, name, classifier_linears())
    if bjorck_steps < 0:
        raise ValueError(f"bjorck_steps must not be negative, got {bjorck_steps}")
    return partial(tnn.BjorckLinear, steps=bjorck_steps) if cls is tnn.BjorckLinear and bjorck_steps else cls
