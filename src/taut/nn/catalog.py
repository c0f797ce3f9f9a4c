"""Names of layers and activations, made from the exports: choices on the command line, tables in the docs, cost
benchmarks."""

import inspect
import re

from torch import nn

import taut.nn as exports


def linears() -> dict[str, type[nn.Linear]]:
    """Every linear layer by its short name.

    >>> linears()["bjorck"].__name__
    'BjorckLinear'
    """
    classes = (getattr(exports, name) for name in exports.__all__)
    return {
        kebab(cls.__name__.removesuffix("Linear")): cls
        for cls in classes
        if inspect.isclass(cls) and issubclass(cls, nn.Linear)
    }


def activations() -> dict[str, type[nn.Module]]:
    """Every activation by its short name.

    >>> activations()["group-sort"].__name__
    'GroupSort'
    """
    classes = (getattr(exports, name) for name in exports.__all__)
    return {
        kebab(cls.__name__): cls
        for cls in classes
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and hasattr(cls, "lipschitz_constant")
    }


def parametrizations() -> dict[str, type[nn.Module]]:
    """Every weight parametrization by its short name: the methods of `taut.constrain`.

    >>> parametrizations()["spectral-norm"].__name__
    'SpectralNorm'
    """
    classes = (getattr(exports, name) for name in exports.__all__)
    return {
        kebab(cls.__name__): cls
        for cls in classes
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and hasattr(cls, "right_inverse")
    }


def kebab(name: str) -> str:
    """CamelCase to kebab-case; runs of capitals stay one word.

    >>> kebab("MaxMin"), kebab("AOL"), kebab("LInf"), kebab("SpectralNorm")
    ('max-min', 'aol', 'linf', 'spectral-norm')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
