r"""The constant of convolutions that are made in the Fourier domain, by theorem, in real arithmetic.

Each symbol is a Cayley transform or a part of a block reflection, whose singular values are 1 (at most 1 where the
reflection's basis loses rank), and Newton-Schulz steps map [0, 1] into itself. Half a spectrum stands for the whole:
the inverse transform leaves out only what is not real, which is a projection.
"""

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut.certify.norms.fourier import Kind
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.nn.conversion.plain_fourier import is_fourier_graph

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


def fourier_layer(module: nn.Module) -> FourierLayer | None:
    """What a module that `is_fourier` computes, read from its graph; None for other modules."""
    if not is_fourier(module):
        return None
    graph: Any = module if isinstance(module, fx.GraphModule) else module.fold()  # type: ignore[operator]
    weight, bias = graph._parameters["weight"], graph._parameters.get("bias")
    rows, columns = weight.shape[:2]
    if any(node.target is torch.linalg.inv for node in graph.graph.nodes):
        kind: Kind = "cayley"
        wide = sum(node.target is getattr and node.args[1] == "mH" for node in graph.graph.nodes) == 4
        if wide and rows == columns:
            return None  # the adjoint, which no layer is
        channels = (rows, columns) if wide else (columns, rows)
    else:
        kind, channels = "reflection", _cut(graph)
    return FourierLayer(kind=kind, channels=channels, weight=weight, bias=bias)


def _cut(graph: fx.GraphModule) -> tuple[int, int]:
    """Where the identity of a reflection is cut to columns and rows."""
    for node in graph.graph.nodes:
        index: Any = node.args[1] if node.target is operator.getitem else None
        if isinstance(index, tuple) and len(index) == 2 and all(isinstance(part, slice) for part in index):
            return index[1].stop, index[0].stop
    raise AssertionError("a reflection without an identity")
