"""Modules as chains of plain operations."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from taut import nn as tnn
from taut.certify.norms.stencil import is_plain_convolution
from taut.certify.program import entries, pools, sorts
from taut.certify.program.affine import BatchNorm, Linear, Scale
from taut.certify.program.blocks import block_operation
from taut.certify.program.distances import distance_operation
from taut.certify.program.learned import learned_operation
from taut.certify.program.operation import Operation, Shape, stored
from taut.certify.program.plain import plain_affine
from taut.certify.program.shapes import Permute, Reshape
from taut.certify.rules.activation_rules import learned_activation
from taut.certify.rules.block_rules import is_block
from taut.certify.rules.exponential_rules import is_exponential
from taut.certify.rules.module_rules import is_plain_linear
from taut.certify.rules.normalisation_rules import BATCH_NORMS, normalisation_proof

Lowering = Callable[[Any, Shape], list[Operation]]


def is_lowered(module: nn.Module) -> bool:
    """Whether `module_operations` knows the module as a whole, by its exact type or its graph."""
    if is_plain_linear(module) or is_plain_convolution(module) or is_block(module) or is_exponential(module):
        return True
    if learned_activation(module) is not None or type(module) in _LEARNED:
        return True
    plain = tnn.recognise(module) or module
    return type(plain) in _TABLE or type(plain) in (tnn.LInfDistLinear, tnn.SortLinear)


def module_operations(module: nn.Module, shape: Shape) -> list[Operation] | None:
    """The operations of a module for samples of this shape, in order; None where it has none.

    Raises TypeError and ValueError, not yet naming the module, for settings that cannot be certified.
    """
    for found in (plain_affine(module), block_operation(module, shape), distance_operation(module)):
        if found is not None:
            return [found]
    if shape:
        learned = learned_operation(module, shape[0])
        if learned is not None:
            return [learned]
    plain = tnn.recognise(module) or module
    rule = _TABLE.get(type(plain))
    return None if rule is None else rule(plain, shape)


def sample_axis(dim: int, shape: Shape) -> int:
    """The axis of a sample that is axis `dim` of a batch. TypeError for the axis of the batch itself."""
    axis = dim - 1 if dim >= 0 else len(shape) + dim
    if not 0 <= axis < len(shape):
        raise TypeError(f"it works along axis {dim} of inputs (batch, {', '.join(map(str, shape))}): no certificate")
    return axis


def _nothing(module: Any, shape: Shape) -> list[Operation]:
    return []


def _dropout(module: Any, shape: Shape) -> list[Operation]:
    if module.training:
        raise TypeError("in training mode it draws random numbers: call .eval()")
    return []


def _entry(operation: Operation) -> Lowering:
    return lambda module, shape: [operation]


def _smooth(kind: entries.SmoothKind) -> Lowering:
    return lambda module, shape: [entries.Smooth(kind=kind)]


def _gelu(module: nn.GELU, shape: Shape) -> list[Operation]:
    if module.approximate != "none":
        raise TypeError(f"approximate={module.approximate!r} has no certificate: use the exact GELU")
    return [entries.Smooth(kind="gelu")]


def _batch_norm(module: Any, shape: Shape) -> list[Operation]:
    normalisation_proof(module, "l2")  # refuses what uses the statistics of the batch
    return [
        BatchNorm(
            mean=stored(module.running_mean),
            variance=stored(module.running_var),
            weight=None if module.weight is None else stored(module.weight),
            bias=None if module.bias is None else stored(module.bias),
            eps=float(module.eps),
        )
    ]


def _flatten(module: nn.Flatten, shape: Shape) -> list[Operation]:
    first, last = sample_axis(module.start_dim, shape), sample_axis(module.end_dim, shape)
    return [Reshape(shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))]


def _shuffled(factor: int, shape: Shape, *, unshuffle: bool) -> list[Operation]:
    """Pixels to channels or back."""
    if len(shape) != 3:
        raise TypeError(f"it takes images (channels, height, width), got {shape}")
    channels, height, width = shape
    if unshuffle:
        cut = (channels, height // factor, factor, width // factor, factor)
        return [
            Reshape(shape=cut),
            Permute(axes=(0, 2, 4, 1, 3)),
            Reshape(shape=(channels * factor**2, cut[1], cut[3])),
        ]
    cut = (channels // factor**2, factor, factor, height, width)
    return [
        Reshape(shape=cut),
        Permute(axes=(0, 3, 1, 4, 2)),
        Reshape(shape=(cut[0], height * factor, width * factor)),
    ]


def _max_pool(module: Any, shape: Shape) -> list[Operation]:
    if module.return_indices:
        raise TypeError("return_indices=True has no certificate: indices jump")
    rank = int(type(module).__name__[-2])
    kernel = _each(module.kernel_size, rank)
    stride = kernel if module.stride is None else _each(module.stride, rank)
    return [
        pools.MaxPool(
            kernel=kernel,
            stride=stride,
            padding=_each(module.padding, rank),
            dilation=_each(module.dilation, rank),
            ceil_mode=bool(module.ceil_mode),
        )
    ]


def _average_pool(module: Any, shape: Shape) -> list[Operation]:
    rank = int(type(module).__name__[-2])
    kernel = _each(module.kernel_size, rank)
    stride = kernel if module.stride is None else _each(module.stride, rank)
    padding = _each(module.padding, rank)
    if module.ceil_mode or (any(padding) and not module.count_include_pad):
        raise TypeError("ceil_mode=True and count_include_pad=False weigh windows differently: no certificate")
    divisor = getattr(module, "divisor_override", None) or math.prod(kernel)
    return [pools.SumPool(kernel=kernel, stride=stride, padding=padding, divisor=float(divisor))]


def _adaptive(module: Any, shape: Shape) -> list[Operation]:
    """Windows of one size, where the output's divides the input's."""
    rank = int(type(module).__name__[-2])
    sizes = shape[-rank:]
    wanted = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * rank
    outputs = tuple(size if out is None else out for out, size in zip(wanted, sizes, strict=True))
    if any(size % out for out, size in zip(outputs, sizes, strict=True)):
        raise TypeError(f"its output {outputs} does not divide its input {sizes}: windows overlap unevenly")
    kernel = tuple(size // out for out, size in zip(outputs, sizes, strict=True))
    if "Avg" in type(module).__name__:
        return [pools.SumPool(kernel=kernel, stride=kernel, padding=(0,) * rank, divisor=float(math.prod(kernel)))]
    ones = (1,) * rank
    return [pools.MaxPool(kernel=kernel, stride=kernel, padding=(0,) * rank, dilation=ones, ceil_mode=False)]


def _centred(module: tnn.LayerCentering, shape: Shape) -> list[Operation]:
    """The projection along one axis, as a matrix."""
    axis = sample_axis(module.dim, shape)
    size, last = shape[axis], len(shape) - 1
    swap = Permute(axes=tuple({axis: last, last: axis}.get(other, other) for other in range(len(shape))))
    matrix = torch.eye(size, dtype=torch.float64) - 1.0 / size
    return [swap, Linear(weight=stored(matrix)), swap]


def _l2_pool(module: tnn.L2NormPool2d, shape: Shape) -> list[Operation]:
    if any(module.padding):
        raise TypeError(f"padding={module.padding} has no certificate")
    pool = pools.L2Pool(kernel=tuple(module.kernel_size), stride=tuple(module.stride))
    return [pool] if module.factor == 1.0 else [pool, Scale(factor=float(module.factor))]


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


_LEARNED = (tnn.HouseholderActivation, tnn.LinearSpline, tnn.LipschitzPReLU, tnn.NActivation)
_TABLE: dict[type[nn.Module], Lowering] = {
    nn.Identity: _nothing,
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    nn.ReLU: _entry(entries.ReLU()),
    nn.ReLU6: _entry(entries.Clamp(low=0.0, high=6.0)),
    nn.Hardtanh: lambda m, shape: [entries.Clamp(low=float(m.min_val), high=float(m.max_val))],
    nn.LeakyReLU: lambda m, shape: [entries.LeakyReLU(slope=float(m.negative_slope))],
    nn.ELU: lambda m, shape: [entries.Smooth(kind="elu", alpha=float(m.alpha))],
    nn.Tanh: _smooth("tanh"),
    nn.Sigmoid: _smooth("sigmoid"),
    nn.SiLU: _smooth("silu"),
    nn.GELU: _gelu,
    tnn.Abs: _entry(entries.Abs()),
    tnn.MaxMin: lambda m, shape: [sorts.MaxMin(axis=sample_axis(m.dim, shape))],
    tnn.GroupSort: lambda m, shape: [sorts.GroupSort(axis=sample_axis(m.dim, shape), size=m.group_size)],
    tnn.FullSort: lambda m, shape: [sorts.FullSort(axis=sample_axis(m.dim, shape))],
    tnn.MaxOut: lambda m, shape: [sorts.MaxOut(axis=sample_axis(m.dim, shape), size=m.group_size)],
    tnn.Scale: lambda m, shape: [Scale(factor=float(m.factor))],
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    nn.Flatten: _flatten,
    nn.PixelShuffle: lambda m, shape: _shuffled(m.upscale_factor, shape, unshuffle=False),
    nn.PixelUnshuffle: lambda m, shape: _shuffled(m.downscale_factor, shape, unshuffle=True),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _max_pool),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average_pool),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), _adaptive),
    tnn.L2NormPool2d: _l2_pool,
    tnn.LayerCentering: _centred,
}
