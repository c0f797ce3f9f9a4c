"""What a forward pass computes from the shape of its input alone, for a batch of some samples."""

from typing import Any

import torch
from torch import fx

from taut.certify.program.build import Builder

_METHODS = ("size", "dim", "numel", "ndimension")


def is_size(node: fx.Node, places: dict[fx.Node, int], values: dict[fx.Node, Any]) -> bool:
    """Whether the node asks for a size, or calculates with what is known already."""
    source = node.args[0] if node.args else None
    moving = isinstance(source, fx.Node) and source in places
    if node.op == "call_method":
        return moving and node.target in _METHODS
    if node.target is getattr:
        return moving and node.args[1] in ("shape", "ndim")
    if node.target is torch._assert:
        return True
    return all(_plain(values.get(other)) for other in node.all_input_nodes)


def _plain(value: Any) -> bool:
    """A number, or some: no tensor."""
    return isinstance(value, int | float) or (isinstance(value, tuple) and all(isinstance(n, int) for n in value))


class Sizes:
    """Evaluates such nodes."""

    def __init__(self, builder: Builder, places: dict[fx.Node, int], values: dict[fx.Node, Any]) -> None:
        self.builder, self.places, self.values = builder, places, values

    def of(self, node: fx.Node) -> Any:
        if node.target is torch._assert:
            if not fx.map_arg(node.args[0], self.values.__getitem__):
                raise ValueError(str(node.args[1]) if len(node.args) > 1 else "an assertion of the model fails")
            return True
        first = node.args[0] if node.args else None
        if isinstance(first, fx.Node) and first in self.places:
            stand_in = torch.empty(self.builder.batch, *self.builder.shapes[self.places[first]], device="meta")
            rest: Any = fx.map_arg(node.args[1:], self.values.__getitem__)
            if node.op == "call_method":
                return _tuple(getattr(stand_in, str(node.target))(*rest, **node.kwargs))
            return _tuple(getattr(stand_in, *rest))
        args = fx.map_arg(node.args, self.values.__getitem__)
        kwargs = fx.map_arg(node.kwargs, self.values.__getitem__)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return _tuple(node.target(*args, **kwargs))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, torch.Size) else value
