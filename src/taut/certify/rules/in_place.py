"""Whether something that was changed in place is read again where the graph shows the value from before."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from taut.certify.rules.function_rules import ADDITIONS, EXTREMES, IN_PLACE, JOINS, PRODUCTS, QUOTIENTS
from taut.certify.rules.refusals import MATRIX_PRODUCTS

_NEW_MEMORY = {
    *(ADDITIONS | PRODUCTS | QUOTIENTS) - IN_PLACE,
    *EXTREMES,
    *JOINS,
    *MATRIX_PRODUCTS,
    *(F.linear, F.batch_norm, F.layer_norm, torch.clone, "clone"),
}
"""Functions that never return a view of what they are given, nor the thing itself."""


def stale_reader(node: fx.Node, moving: Callable[[fx.Node], bool]) -> fx.Node | None:
    """A node after `node` (x += y, and the like) that reads x, or something that may share its memory; None if none.

    Functions and modules that are known to return memory of their own do not share; whatever else is made of a tensor
    may be a view of it, or the tensor itself. `moving` tells, of nodes before `node`, those made of the input; sizes
    and constants are not, and carry no memory on.
    """
    order = {other: position for position, other in enumerate(node.graph.nodes)}
    family: set[fx.Node] = set()
    pending: list[Any] = [node.args[0]]
    while pending:
        member = pending.pop()
        if member in family or not moving(member):
            continue
        family.add(member)
        if _may_share(member):
            pending += member.all_input_nodes
        pending += [user for user in member.users if order[user] < order[node] and _may_share(user)]
    readers = {user for member in family for user in member.users if order[user] > order[node]}
    return min(readers, key=order.__getitem__, default=None)


def _may_share(node: fx.Node) -> bool:
    """Whether the result of a node may share memory with what it is made of."""
    if node.op == "call_module":
        owner = node.graph.owning_module
        return owner is None or not _makes_new_memory(owner.get_submodule(str(node.target)))
    return node.target not in _NEW_MEMORY


def _makes_new_memory(module: nn.Module) -> bool:
    """Whether it is a layer of torch or of taut with weights; a user's own may return a view whatever it holds."""
    cls: type = type(module)
    if hasattr(module, "parametrizations"):
        cls = cls.__bases__[0]  # torch puts a class of its own before it
    ours = cls.__module__.startswith(("torch.nn.modules.", "taut.nn."))
    inner = any(name != "parametrizations" for name in module._modules)  # which may be a user's
    return ours and not inner and any(True for _ in module.parameters())
