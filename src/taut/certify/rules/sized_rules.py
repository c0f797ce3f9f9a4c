r"""Constants of pools and resampling of inputs of a known size: sharper than those for every size, or the only ones.

All are linear or take extremes axis by axis: the output along an axis is a matrix with entries >= 0 times the input, or
picks entries from windows. A matrix with row sums <= r and column sums <= c has the l2 norm sqrt(r c) at most (Schur),
and the norms of the axes multiply. Everything is exact, in rational numbers.
"""

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.functional.windows import root_up

_AVERAGES = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_EXTREMES = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
"""Interpolation and its axes."""


def sized_constant(module: nn.Module, norm: Norm, input_shape: tuple[int, ...] | None) -> float | None:
    """The constant for inputs (batch, channels, *sizes), or None where there is no rule or no size."""
    if input_shape is None:
        return None
    if type(module) in _AVERAGES:
        return _by_axis(module, norm, input_shape, _largest_average)
    if type(module) in _EXTREMES and not module.return_indices:
        return _by_axis(module, norm, input_shape, _largest_count)
    if type(module) in (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d):
        return _upsampled(module, norm, input_shape)
    return None


def _by_axis(
    module: Any, norm: Norm, input_shape: tuple[int, ...], column: Callable[[int, int], Fraction]
) -> float | None:
    """Rows sum to 1: averages, and entries that are picked."""
    axes = int(type(module).__name__[-2])
    outputs = module.output_size if isinstance(module.output_size, tuple | list) else (module.output_size,) * axes
    inputs = input_shape[-axes:]
    if len(input_shape) < axes + 1 or len(outputs) != axes or min(inputs) < 1:
        return None
    if norm == "linf":
        return 1.0
    pairs = ((size, size if wanted is None else wanted) for size, wanted in zip(inputs, outputs, strict=True))
    return root_up(math.prod((column(size, wanted) for size, wanted in pairs), start=Fraction(1)))


def _windows(inputs: int, outputs: int) -> list[range]:
    """Window i of an adaptive pool: from floor(i n / m) to ceil((i + 1) n / m)."""
    return [range(i * inputs // outputs, -(-(i + 1) * inputs // outputs)) for i in range(outputs)]


def _largest_average(inputs: int, outputs: int) -> Fraction:
    columns = [Fraction(0)] * inputs
    for window in _windows(inputs, outputs):
        for entry in window:
            columns[entry] += Fraction(1, len(window))
    return max(columns)


def _largest_count(inputs: int, outputs: int) -> Fraction:
    counts = Counter(entry for window in _windows(inputs, outputs) for entry in window)
    return Fraction(max(counts.values(), default=0))


def _upsampled(module: Any, norm: Norm, input_shape: tuple[int, ...]) -> float | None:
    inputs = input_shape[2:]
    scale = (
        module.scale_factor if isinstance(module.scale_factor, tuple | list) else (module.scale_factor,) * len(inputs)
    )
    size = module.size if isinstance(module.size, tuple | list) else (module.size,) * len(inputs)
    if len(scale) != len(inputs) or len(size) != len(inputs) or not inputs:
        return None
    if module.size is None:
        if any(s is None or s != int(s) or s < 1 for s in scale):
            return None  # torch steps by 1 / scale, which then is not the ratio of the sizes
        size = tuple(n * int(s) for n, s in zip(inputs, scale, strict=True))
    if module.mode == "nearest":
        columns = [_copies(n, m) for n, m in zip(inputs, size, strict=True)]
    elif _LINEAR.get(module.mode) == len(inputs):
        columns = [_largest_weight(n, m, bool(module.align_corners)) for n, m in zip(inputs, size, strict=True)]
    else:
        return None
    return 1.0 if norm == "linf" else root_up(math.prod(columns, start=Fraction(1)))


def _copies(inputs: int, outputs: int) -> Fraction:
    """How often an entry is repeated at most, as torch does it in float32 and in float64."""
    most = 0
    for dtype in (torch.float32, torch.float64):
        line = torch.arange(inputs, dtype=dtype, device="cpu").view(1, 1, -1)
        most = max(most, max(Counter(F.interpolate(line, size=outputs, mode="nearest").flatten().tolist()).values()))
    return Fraction(most)


def _largest_weight(inputs: int, outputs: int, align_corners: bool) -> Fraction:
    """Largest sum of the weights that one entry has in all outputs of a linear interpolation."""
    columns = [Fraction(0)] * inputs
    for position in range(outputs):
        if align_corners:
            place = Fraction(position * (inputs - 1), outputs - 1) if outputs > 1 else Fraction(0)
        else:
            place = max(Fraction((2 * position + 1) * inputs, 2 * outputs) - Fraction(1, 2), Fraction(0))
        low = min(int(place), inputs - 1)
        columns[low] += 1 - (place - low)
        columns[min(low + 1, inputs - 1)] += place - low
    return max(columns)
