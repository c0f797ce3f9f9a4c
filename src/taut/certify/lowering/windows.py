"""Torch's and taut's pools as plain operations."""

import math
from typing import Any

from torch import nn

from taut import nn as tnn
from taut.certify.program import pools
from taut.certify.program.affine import Scale
from taut.certify.program.operation import Operation, Shape
from taut.certify.program.shapes import Pad


def max_pool(module: Any, shape: Shape) -> list[Operation]:
    """Maxima of windows."""
    if module.return_indices:
        raise TypeError("return_indices=True has no certificate: indices jump")
    rank = _rank(module)
    kernel, stride = _windows(module, rank)
    return [
        pools.MaxPool(
            kernel=kernel,
            stride=stride,
            padding=each(module.padding, rank),
            dilation=each(module.dilation, rank),
            ceil_mode=bool(module.ceil_mode),
        )
    ]


def average_pool(module: Any, shape: Shape) -> list[Operation]:
    """Sums of windows over their size, where all are of one size."""
    rank = _rank(module)
    kernel, stride = _windows(module, rank)
    padding = each(module.padding, rank)
    divisor = getattr(module, "divisor_override", None) or math.prod(kernel)
    rooms = (n + 2 * p - k for n, p, k in zip(shape[-rank:], padding, kernel, strict=True))
    ragged = module.ceil_mode and any(room % s for room, s in zip(rooms, stride, strict=True))
    if ragged or (any(padding) and not module.count_include_pad):
        raise TypeError("ceil_mode=True and count_include_pad=False weigh windows differently: no certificate")
    return [pools.SumPool(kernel=kernel, stride=stride, padding=padding, divisor=float(divisor))]


def adaptive_pool(module: Any, shape: Shape) -> list[Operation]:
    """Windows of one size, where the output's divides the input's."""
    rank = _rank(module)
    if getattr(module, "return_indices", False):
        raise TypeError("return_indices=True has no certificate: indices jump")
    sizes = shape[-rank:]
    wanted = each(module.output_size, rank)
    outputs = tuple(size if out is None else out for out, size in zip(wanted, sizes, strict=True))
    if any(size % out for out, size in zip(outputs, sizes, strict=True)):
        raise TypeError(f"its output {outputs} does not divide its input {sizes}: windows overlap unevenly")
    kernel = tuple(size // out for out, size in zip(outputs, sizes, strict=True))
    if "Avg" in type(module).__name__:
        return [pools.SumPool(kernel=kernel, stride=kernel, padding=(0,) * rank, divisor=float(math.prod(kernel)))]
    ones = (1,) * rank
    return [pools.MaxPool(kernel=kernel, stride=kernel, padding=(0,) * rank, dilation=ones, ceil_mode=False)]


def l2_norm_pool(module: tnn.L2NormPool2d, shape: Shape) -> list[Operation]:
    """Euclidean norms of windows, zeros around, and a factor."""
    operations: list[Operation] = []
    if any(module.padding):
        operations += [Pad(widths=((0, 0), *((side, side) for side in module.padding)))]
    operations += [pools.L2Pool(kernel=tuple(module.kernel_size), stride=tuple(module.stride))]
    return operations if module.factor == 1.0 else [*operations, Scale(factor=float(module.factor))]


def lp_pool(module: Any, shape: Shape) -> list[Operation]:
    """Torch's, for p = 2: the root of an average, times the size of the window."""
    if module.norm_type != 2 or module.ceil_mode:
        raise TypeError(f"norm_type={module.norm_type}, ceil_mode={module.ceil_mode} has no certificate")
    kernel, stride = _windows(module, _rank(module))
    return [pools.L2Pool(kernel=kernel, stride=stride)]


def _windows(module: Any, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    kernel = each(module.kernel_size, rank)
    return kernel, kernel if module.stride is None else each(module.stride, rank)


def _rank(module: nn.Module) -> int:
    return int(type(module).__name__[-2])


def each(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
