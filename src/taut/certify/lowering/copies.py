"""Modules that pad, repeat and rearrange, found out by what they do to the numbers of entries."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from taut.certify.program.operation import Operation, Shape
from taut.certify.program.shapes import Pad, Reshape, Take


def zero_pad(module: Any, shape: Shape) -> list[Operation]:
    """Zeros around, or entries cut off where a width is negative."""
    if getattr(module, "value", 0) != 0:
        raise TypeError(f"only zeros can be padded, got value={module.value!r}")
    pairs = list(zip(module.padding[::2], module.padding[1::2], strict=True))[::-1]
    if len(pairs) > len(shape):
        raise ValueError(f"it pads {len(pairs)} axes, got samples of shape {shape}")
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs
    cuts: list[Operation] = [
        Take(axis=axis, index=tuple(range(max(0, -left), size - max(0, -right))))
        for axis, ((left, right), size) in enumerate(zip(widths, shape, strict=True))
        if min(left, right) < 0
    ]
    return [*cuts, Pad(widths=tuple((max(0, left), max(0, right)) for left, right in widths))]


def copied(module: nn.Module, shape: Shape) -> list[Operation]:
    """Padding by copies, and nearest neighbours: along each axis by itself."""
    if isinstance(module, nn.Upsample) and module.mode not in ("nearest", "nearest-exact"):
        raise TypeError(f"mode={module.mode!r} has no certificate: only nearest neighbours have one")
    if len(shape) < 2:
        raise ValueError(f"it takes samples (channels, ...), got shape {shape}")
    sizes = shape[1:]
    numbers = torch.arange(math.prod(sizes)).view(1, 1, *sizes)
    found = _same_in_any_dtype(module, numbers)
    operations: list[Operation] = []
    rest = numbers
    for axis, size in enumerate(sizes, 2):
        line = found.movedim(axis, 0).reshape(found.shape[axis], -1)[:, 0]
        index = line // math.prod(sizes[axis - 1 :]) % size
        rest = rest.index_select(axis, index)
        operations.append(Take(axis=axis - 1, index=tuple(index.tolist())))
    if not torch.equal(rest, found):
        raise TypeError("it does not treat the axes one by one: no certificate")
    return operations


def rearranged_sample(module: nn.Module, shape: Shape) -> list[Operation]:
    """Entries of the flat sample, with zeros among them."""
    count = math.prod(shape)
    found = _same_in_any_dtype(module, torch.arange(1, count + 1).view(1, *shape))[0]
    return [
        Reshape(shape=(count,)),
        Pad(widths=((1, 0),)),  # entry 0 is what is padded
        Take(axis=0, index=tuple(found.flatten().tolist())),
        Reshape(shape=tuple(found.shape)),
    ]


def _same_in_any_dtype(module: nn.Module, numbers: Tensor) -> Tensor:
    """Positions of nearest neighbours are rounded, in one dtype otherwise than in another."""
    try:
        wide = module(numbers.double())
        narrow = module(numbers.float())
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise ValueError(f"it does not take samples of shape {tuple(numbers.shape[1:])}: {error}") from error
    if numbers.numel() >= 2**24 or not torch.equal(wide, narrow.double()):
        raise TypeError("it picks other entries in float32 than in float64: no certificate")
    return wide.long()
