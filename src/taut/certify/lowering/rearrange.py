"""Functions that only move, leave out or repeat entries: found out by what they do to the numbers of the entries."""

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx

from taut.certify.program.build import Builder
from taut.certify.program.shapes import Permute, Reshape, Take
from taut.certify.rules.function_rules import REARRANGEMENTS, SPLITS

_MORE = {
    *("narrow", "expand", "repeat", "repeat_interleave", "swapaxes", "unfold", "tile", "detach", "select"),
    *(torch.narrow, torch.repeat_interleave, torch.swapaxes, torch.tile, torch.unflatten, torch.select),
    *(torch.index_select, "index_select"),
}
"""Also allowed to repeat entries, as the numbers show how often."""
_OPTIONS = {
    **dict.fromkeys(("split", "chunk", "tensor_split"), ("", "dim")),
    **dict.fromkeys(("unbind", "narrow", "select", "index_select"), ("dim",)),
    "roll": ("", "dims"),
}
"""Options by position, after the tensor, of what works along one axis."""
_ORDERINGS = {torch.permute, torch.transpose, torch.movedim, torch.swapaxes}
_ORDERING_METHODS = {"permute", "transpose", "movedim", "swapaxes"}


def is_rearrangement(node: fx.Node) -> bool:
    """Whether each entry of the result is an entry of the input, which one being independent of the numbers."""
    if node.target in REARRANGEMENTS or node.target in _MORE:
        return not any(isinstance(value, torch.dtype) for value in (*node.args[1:], *node.kwargs.values()))
    return node.target is operator.getitem


def rearranged(
    node: fx.Node, builder: Builder, place: int, args: tuple[Any, ...], kwargs: dict[str, Any], *, name: str, kind: str
) -> int | tuple[int, ...]:
    """Place of the result; places of the pieces of a split. TypeError where samples of the batch are mixed."""
    shape = builder.shapes[place]
    _refuse_the_batch(node, args, kwargs, len(shape) + 1)
    numbers = torch.arange(builder.batch * math.prod(shape)).view(builder.batch, *shape)
    try:
        found = _call(node, numbers, args, kwargs)
    except (RuntimeError, IndexError, ValueError) as error:
        raise ValueError(f"it does not take {tuple(numbers.shape)}: {str(error).splitlines()[0]}") from error
    axes = _order(node, args, kwargs, len(shape))
    if axes is not None:
        _samples(found, math.prod(shape), builder.batch)
        return builder.add(Permute(axes=axes), place, name=name, kind=kind)
    if node.target in SPLITS:
        return tuple(_moved(builder, place, piece, name, kind) for piece in found)
    return _moved(builder, place, found, name, kind)


def _call(node: fx.Node, numbers: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if node.op == "call_method":
        return getattr(numbers, str(node.target))(*args, **kwargs)
    target: Any = node.target
    return target(numbers, *args, **kwargs)


def _refuse_the_batch(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], rank: int) -> None:
    """What does nothing to few samples alone is refused as well: x[:64], split(x, 64), roll(x, 60, 0)."""
    if node.target is operator.getitem:
        index = args[0][:1] if isinstance(args[0], tuple) else (args[0],)
        if index not in ((), (Ellipsis,), (slice(None),)):
            raise TypeError("it picks samples of a batch: no certificate")
    name = str(getattr(node.target, "__name__", node.target))
    named = {**dict(zip(_OPTIONS.get(name, ()), args, strict=False)), **kwargs}
    dims = named.get("dim", named.get("dims", 0 if node.target in SPLITS else None))
    if any(isinstance(dim, int) and dim % rank == 0 for dim in (dims if isinstance(dims, tuple | list) else (dims,))):
        raise TypeError("it works along the samples of a batch: no certificate")


def _samples(found: Tensor, count: int, batch: int) -> Tensor:
    """The numbers of the first sample's entries, where all samples are treated alike and kept apart."""
    whole = isinstance(found, Tensor) and found.ndim >= 1 and len(found) == batch
    if not whole or any(not torch.equal(found[0] + at * count, found[at]) for at in range(1, batch)):
        raise TypeError("it mixes the samples of a batch: no certificate")
    return found[0]


def _order(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any], rank: int) -> tuple[int, ...] | None:
    """The order of axes that a permutation leaves a sample with; None for other functions."""
    if node.target not in _ORDERINGS and node.target not in _ORDERING_METHODS:
        return None
    sizes = torch.empty(*range(2, rank + 3), device="meta")  # every axis has a size of its own
    result = tuple(_call(node, sizes, args, kwargs).shape)
    if result[0] != 2:
        raise TypeError("it mixes the samples of a batch: no certificate")
    return tuple(size - 3 for size in result[1:])


def _moved(builder: Builder, place: int, found: Tensor, name: str, kind: str) -> int:
    """A reshape where the order stays, entries of one axis where the others stay, else entries of the flat sample."""
    shape = builder.shapes[place]
    count = math.prod(shape)
    index = _samples(found, count, builder.batch)
    if index.numel() == count and torch.equal(index.flatten(), torch.arange(count)):
        return builder.add(Reshape(shape=tuple(index.shape)), place, name=name, kind=kind)
    along = _one_axis(index, shape)
    if along is not None:
        return builder.add(along, place, name=name, kind=kind)
    flat = builder.add(Reshape(shape=(count,)), place, name=name, kind=kind)
    taken = builder.add(Take(axis=0, index=tuple(index.flatten().tolist())), flat, name=name, kind=kind)
    return builder.add(Reshape(shape=tuple(index.shape)), taken, name=name, kind=kind)


def _one_axis(index: Tensor, shape: tuple[int, ...]) -> Take | None:
    """The entries taken along one axis, if that is all."""
    if index.ndim != len(shape) or index.numel() == 0:
        return None
    numbers = torch.arange(math.prod(shape)).view(shape)
    for axis in range(len(shape)):
        if all(size == old for other, (size, old) in enumerate(zip(index.shape, shape, strict=True)) if other != axis):
            first = index.movedim(axis, 0).reshape(index.shape[axis], -1)[:, 0]
            stride = numbers.stride(axis)
            picked = (first // stride) % shape[axis]
            if torch.equal(numbers.index_select(axis, picked), index):
                return Take(axis=axis, index=tuple(picked.tolist()))
    return None
