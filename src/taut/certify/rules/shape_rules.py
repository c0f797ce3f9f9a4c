"""Which operands have one shape for every shape of the input: then nothing is broadcast, whatever is given."""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from taut import nn as tnn
from taut.certify.rules.activation_rules import learned_activation
from taut.certify.rules.function_modules import as_module
from taut.certify.rules.function_rules import ADDITIONS, ENTRYWISE, EXTREMES, PRODUCTS, QUOTIENTS
from taut.certify.rules.module_rules import is_plain_linear

Shape = tuple[fx.Node, int | None]
"""The shape of a node but for the last axis, and the size of that one, where it is known."""

_BINARY = ADDITIONS | EXTREMES | PRODUCTS | QUOTIENTS
_KEEPING_ROOMS = (
    *(f"torch.nn.modules.{room}" for room in ("dropout", "batchnorm", "normalization")),
    *("taut.nn.activation.", "taut.nn.normalisation."),
)
_KEEPING_ACTIVATIONS = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh),
    *(nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Softshrink, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Tanhshrink),
)


class Shapes:
    """Shapes that follow from the graph alone."""

    def __init__(self, traced: fx.GraphModule, values: dict[fx.Node, Any]) -> None:
        self.traced = traced
        self.values = values
        self.equal: set[fx.Node] = set()
        """Sums, products and the like whose operands are proven to have the result's shape."""
        self._found: dict[fx.Node, Shape] = {}
        self._widths: dict[fx.Node, int] = {}
        for _ in range(2):  # what a linear layer tells of its input is known to all in the second round
            for node in traced.graph.nodes:
                self._found[node] = self._shape(node)

    def _shape(self, node: fx.Node) -> Shape:
        source = node.args[0] if node.args else None
        own = node, self._widths.get(node)
        if not isinstance(source, fx.Node):
            return self._combined(node) or own if node.target in _BINARY else own
        if node.op == "call_module":
            return self._of_module(self.traced.get_submodule(str(node.target)), source) or own
        if node.target in _BINARY:
            return self._combined(node) or own
        piece = node.target is operator.getitem and isinstance(node.args[1], int)
        if piece and source.target in (torch.unbind, "unbind"):
            return self._found[source]  # all pieces have one shape
        module = as_module(node)
        if node.target in ENTRYWISE or node.target == "clone" or (module is not None and _keeps_shape(module)):
            return self._found[source]
        return own

    def _of_module(self, module: nn.Module, source: fx.Node) -> Shape | None:
        before, width = self._found[source]
        if is_plain_linear(module) or type(module).__module__.startswith("taut.nn.dense."):
            sizes: Any = getattr(module, "in_features", None), getattr(module, "out_features", None)
            if not all(isinstance(size, int) for size in sizes):
                return None
            if width is None:
                self._widths[before] = sizes[0]
            return before, sizes[1]
        return (before, width) if _keeps_shape(module) else None

    def _combined(self, node: fx.Node) -> Shape | None:
        """The shape of a result whose operands are not broadcast; None where they may be."""
        moving = [v for v in node.args if isinstance(v, fx.Node) and v not in self.values]
        if len(node.args) != 2 or node.kwargs or not moving:
            return None
        shape = self._found[moving[0]]
        if any(self._found[other] != shape for other in moving):
            return None
        if any(not _fits(self.values[v], shape[1]) for v in node.args if isinstance(v, fx.Node) and v in self.values):
            return None
        self.equal.add(node)
        return shape


def _fits(constant: Any, width: int | None) -> bool:
    """A number, or one for each entry of the last axis."""
    return isinstance(constant, Tensor) and constant.dim() <= 1 and constant.numel() in (1, width)


def _keeps_shape(module: nn.Module) -> bool:
    plain = tnn.recognise(module) or module
    if type(plain) in _KEEPING_ACTIVATIONS or learned_activation(plain) is not None:
        return True
    return type(plain).__module__.startswith(_KEEPING_ROOMS) and not isinstance(plain, tnn.MaxOut)
