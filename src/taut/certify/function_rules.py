"""Constants of functions and tensor methods that a traced network calls between its modules."""

import operator
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

REARRANGEMENTS = {
    torch.flatten,
    torch.reshape,
    torch.squeeze,
    torch.unsqueeze,
    torch.permute,
    torch.transpose,
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

ADDITIONS = {operator.add, torch.add, "add", operator.sub, torch.sub, "sub"}
PRODUCTS = {operator.mul, torch.mul, "mul"}
QUOTIENTS = {operator.truediv, torch.div, "div"}
JOINS = {torch.cat, torch.concat, torch.stack}
EXTREMES = {torch.maximum, torch.minimum, "maximum", "minimum"}
SIZES = {getattr, "size", "dim", "numel"}
ARITHMETIC = {operator.add, operator.sub, operator.mul, operator.floordiv, operator.neg, operator.getitem}
"""What may be done with sizes, without touching the data."""


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
    if target is F.dropout:
        training = node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True)
        return 1.0 if training is False else None
    return None


def _selects(index: Any) -> bool:
    """Whether an index takes each entry at most once: numbers, slices, None and ellipsis do; lists may not."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts)


def describe(node: fx.Node) -> str:
    """The function or method as people know it."""
    target: Any = node.target
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))
