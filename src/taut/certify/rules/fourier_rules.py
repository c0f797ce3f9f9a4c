r"""The constant of convolutions that are made in the Fourier domain, by theorem, in real arithmetic.

Each symbol is a Cayley transform or a part of a block reflection, whose singular values are 1 (at most 1 where the
reflection's basis loses rank), and Newton-Schulz steps map [0, 1] into itself. Half a spectrum stands for the whole:
the inverse transform leaves out only what is not real, which is a projection.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut.certify.norms.fourier import Kind
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.functional import cayley_convolution, reflected_convolution
from taut.nn.conversion.plain_fourier import is_fourier_graph, plain_fourier

THEOREM = "orthogonal frequency by frequency"


def is_fourier(module: nn.Module) -> bool:
    """A layer of taut.nn, or the graph that one folds to. A subclass of one may compute something else."""
    if isinstance(module, fx.GraphModule):
        return is_fourier_graph(module)
    cls = type(module)
    return cls.__module__.startswith("taut.nn.") and bool(getattr(cls, "folds_to_fourier", False))


@torch.no_grad()
def fourier_proof(module: nn.Module) -> Proof:
    """The l2 constant of a module that `is_fourier`. ValueError for a kernel that is not finite."""
    weight: Any = module.weight
    exact_float64(weight)
    return Proof(bound=1.0, method=THEOREM)


@dataclass(frozen=True, kw_only=True, eq=False)
class FourierLayer:
    """What such a module computes."""

    kind: Kind
    channels: tuple[int, int]
    """In, out."""
    weight: Tensor
    """The free kernel."""
    bias: Tensor | None


def is_fourier_layer(module: nn.Module) -> bool:
    """Whether `fourier_layer` knows the module."""
    return fourier_layer(module) is not None if isinstance(module, fx.GraphModule) else is_fourier(module)


def fourier_layer(module: nn.Module) -> FourierLayer | None:
    """What a layer of taut.nn that `is_fourier`, or a graph that one folds to, computes; None for other modules."""
    graph: Any = module
    if not isinstance(module, fx.GraphModule):
        if not is_fourier(module):
            return None
        graph = module.fold()  # type: ignore[operator]
    own: dict[str, Any] = dict(graph.named_parameters())
    weight, bias = own.get("weight"), own.get("bias")
    if own.keys() - {"bias"} != {"weight"} or [*graph.children(), *graph.buffers()]:
        return None
    if weight is None or weight.dim() != 4:
        return None
    kind, channels = _guess(graph, tuple(weight.shape))
    if channels is None or not (bias is None or tuple(bias.shape) == (channels[1], 1, 1)):
        return None
    if _described(graph) != _graph_of(kind, channels, tuple(weight.shape), bias is not None):
        return None
    return FourierLayer(kind=kind, channels=channels, weight=weight, bias=bias)


def _guess(graph: fx.GraphModule, shape: tuple[int, ...]) -> tuple[Kind, tuple[int, int] | None]:
    """The only layer that such a graph can be; reflections show where they cut an identity to rows and columns."""
    if any(node.target is torch.linalg.inv for node in graph.graph.nodes):
        wide = sum(node.target is getattr and node.args[1] == "mH" for node in graph.graph.nodes) == 4
        if wide and shape[0] == shape[1]:
            return "cayley", None  # the adjoint, which no layer is
        return "cayley", (shape[0], shape[1]) if wide else (shape[1], shape[0])
    for node in graph.graph.nodes:
        index: Any = node.args[1] if node.target is operator.getitem else None
        if isinstance(index, tuple) and len(index) == 2 and all(isinstance(part, slice) for part in index):
            cut = index[1].stop, index[0].stop
            fits = all(isinstance(size, int) and size > 0 for size in cut) and max(cut) == shape[0]
            return "reflection", cut if fits else None
    return "reflection", None


Description = tuple[tuple[str, str, str, str, str], ...]


@lru_cache(maxsize=64)
def _graph_of(kind: Kind, channels: tuple[int, int], shape: tuple[int, ...], biased: bool) -> Description:
    """What a layer with such a free kernel folds to, traced once."""
    inputs, outputs = channels
    formula: Callable[[Any, Any], Any] = partial(cayley_convolution, wide=outputs < inputs)
    if kind == "reflection":
        formula = partial(reflected_convolution, in_channels=inputs, out_channels=outputs)
    return _described(plain_fourier(formula, torch.zeros(shape), torch.zeros(outputs) if biased else None))


def _described(graph: fx.GraphModule) -> Description:
    """Operations in their order, on which arguments."""
    nodes = graph.graph.nodes
    return tuple((node.op, node.name, repr(node.target), repr(node.args), repr(node.kwargs)) for node in nodes)
