"""Constants of functions and tensor methods that a traced network calls between its modules."""

import operator
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

SPLITS = {torch.split, torch.chunk, torch.tensor_split, torch.unbind, "split", "chunk", "tensor_split", "unbind"}
"""What cuts a tensor into pieces, which have no entry in common where `cuts_apart`."""

REARRANGEMENTS = {
    torch.flatten,
    torch.reshape,
    torch.squeeze,
    torch.unsqueeze,
    torch.permute,
    torch.transpose,
    torch.movedim,
    torch.roll,
    torch.flip,
    *SPLITS,
    *("movedim", "roll", "flip"),
    *("flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "unflatten", "contiguous", "clone"),
}
"""Each entry of the input appears exactly once in the output: norms stay as they are."""

ENTRYWISE = {
    **dict.fromkeys((F.relu, torch.relu, "relu", F.relu6, F.hardtanh, F.logsigmoid), 1.0),
    **dict.fromkeys((torch.abs, "abs", operator.abs, operator.neg, torch.neg, "neg"), 1.0),
    **dict.fromkeys((torch.tanh, F.tanh, "tanh", torch.sin, "sin", torch.cos, "cos"), 1.0),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), 0.25),
}
"""Entry-by-entry functions and their largest slope. Where they work in place they do not stretch, so that a later
reader of the input sees no more than was counted for it."""

IN_PLACE = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
ADDITIONS = {operator.add, torch.add, "add", operator.sub, torch.sub, "sub", operator.iadd, operator.isub}
PRODUCTS = {operator.mul, torch.mul, "mul", operator.imul}
QUOTIENTS = {operator.truediv, torch.div, "div", operator.itruediv}
JOINS = {torch.cat, torch.concat, torch.stack}
EXTREMES = {torch.maximum, torch.minimum, "maximum", "minimum"}
SIZES = {getattr, "size", "dim", "numel"}
ARITHMETIC = {operator.add, operator.sub, operator.mul, operator.floordiv, operator.neg, operator.getitem}
"""What may be done with sizes, without touching the data."""


def cuts_apart(node: fx.Node) -> bool:
    """Whether a node cuts a tensor into pieces that have no entry in common."""
    if node.target not in (torch.tensor_split, "tensor_split"):
        return node.target in SPLITS
    named = (node.kwargs.get(name) for name in ("indices_or_sections", "sections", "indices"))
    where: Any = node.args[1] if len(node.args) > 1 else next((value for value in named if value is not None), None)
    if isinstance(where, int):
        return True
    if not isinstance(where, tuple | list) or any(not isinstance(index, int) or index < 0 for index in where):
        return False
    return list(where) == sorted(where)  # `tensor_split((3, 1))` gives the entries from 1 to 3 twice


def entrywise_constant(node: fx.Node) -> float | None:
    """Constant of a rearrangement or an entry-by-entry function of the node's first argument, or None."""
    target: Any = node.target
    others = (*node.args[1:], *node.kwargs.values())
    if target in REARRANGEMENTS:  # `view` can also reinterpret the bits as another dtype
        return None if any(isinstance(other, torch.dtype) for other in others) else 1.0
    if target in ENTRYWISE:
        return ENTRYWISE[target]
    if target is operator.getitem and _selects(node.args[1]):
        return 1.0
    return None


def _selects(index: Any) -> bool:
    """Whether an index takes each entry at most once: numbers, slices, None and ellipsis do; lists may not."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts)


def describe(node: fx.Node) -> str:
    """The function or method as people know it."""
    target: Any = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return node.name if name == "fn" else name  # pools that may also return indices are all called that
