"""Which modules may stand where a constant of 1 is counted on."""

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from taut.nn.constants import NORMS, constant
from taut.nn.conv._arguments import CONVOLUTIONS, geometry_of, is_wide, stride_divides
from taut.nn.dense.unit_norm import UnitNorm

_FOLDED = ("folds_to_block", "folds_to_exponential", "folds_to_fourier")
"""Marks of layers that are no single weight: residual blocks, SOC, Cayley and BRO convolutions."""

_HOW = "use a layer of taut.nn, taut.constrain(layer), or give it a method lipschitz_constant(norm)"


def refuse_unconstrained(name: str, layer: nn.Module) -> None:
    """TypeError, naming the layer, unless it has a constraint; chains within may have factors of their own."""
    if not is_constrained(layer):
        raise TypeError(f"{name} ({type(layer).__name__}) has no Lipschitz constraint: {_HOW}")


def refuse_branch(name: str, layer: nn.Module) -> None:
    """TypeError, naming the layer, unless it is 1-Lipschitz as a whole: a block weighs its branches by that."""
    refuse_unconstrained(name, layer)
    for part in _chained(layer):
        factor = getattr(part, "lipschitz", 1.0) if isinstance(part, nn.Sequential) else 1.0
        if factor > 1.0:
            raise TypeError(f"{name} has a Sequential with lipschitz={factor:g}: the branch of a block must keep to 1")
        if _has_unit_rows(part):
            raise TypeError(f"{name} has a {type(part).__name__} with unit rows, of which only each output keeps to 1")


def is_constrained(layer: nn.Module) -> bool:
    """Whether a layer keeps a constant of at most 1, in l2 or in linf, by its construction."""
    if type(layer) is nn.Sequential:
        return all(is_constrained(child) for child in layer)
    constants = [constant(layer, norm) for norm in NORMS]
    if any(c is not None for c in constants):
        return any(c is not None and c <= 1.0 for c in constants)
    if hasattr(layer, "project_") or any(getattr(type(layer), mark, False) for mark in _FOLDED):
        return True
    if getattr(type(layer), "constrained", False):
        return True
    return _keeps_plain_forward(layer) and _last_constraint_fits(layer)


def _keeps_plain_forward(layer: nn.Module) -> bool:
    """A linear layer or convolution that multiplies by its weight, and does nothing else."""
    plain = (nn.Linear.forward, *(cls.forward for cls in CONVOLUTIONS))
    return type(layer).forward in plain and not {"forward", "_conv_forward"} & vars(layer).keys()


def _last_constraint_fits(layer: nn.Module) -> bool:
    """Whether the parametrization that acts last on the weight is one of taut's, made for what the layer does."""
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    last: Any = layer.parametrizations["weight"][-1]  # type: ignore[index, union-attr]
    if hasattr(last, "lipschitz_parametrization"):
        return True
    if not type(last).__module__.startswith("taut.nn."):
        return False
    return isinstance(layer, nn.Linear) or _suits(last, layer)


def _suits(kernel: Any, layer: Any) -> bool:
    """Strides, dilation, groups and padding of the convolution are those for which the kernel is bounded."""
    same = all(getattr(kernel, name, value) == value for name, value in geometry_of(layer).items())
    if layer.padding_mode in getattr(kernel, "padding_modes", ("zeros",)):
        return same
    divides = all(s == 1 for s in layer.stride) or type(layer)._conv_forward is stride_divides
    return same and layer.padding_mode == "circular" and divides and not is_wide(layer)


def _chained(layer: nn.Module) -> list[nn.Module]:
    """The layer and, of chains, what is in them."""
    inner = [part for child in layer for part in _chained(child)] if isinstance(layer, nn.Sequential) else []
    return [layer, *inner]


def _has_unit_rows(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight") and any(
        isinstance(p, UnitNorm)
        for p in layer.parametrizations["weight"]  # type: ignore[index, union-attr]
    )
