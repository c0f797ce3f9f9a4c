"""Modules as chains of plain operations."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from taut import nn as tnn
from taut.certify.lowering import copies, windows
from taut.certify.norms.stencil import is_plain_convolution
from taut.certify.program import entries, pools, sorts
from taut.certify.program.affine import BatchNorm, Linear, Scale, Shift
from taut.certify.program.blocks import block_operation
from taut.certify.program.distances import distance_operation
from taut.certify.program.fourier import fourier_operation
from taut.certify.program.learned import learned_operation
from taut.certify.program.operation import Operation, Shape, stored
from taut.certify.program.plain import plain_affine
from taut.certify.program.shapes import Permute, Reshape
from taut.certify.rules.activation_rules import learned_activation
from taut.certify.rules.block_rules import is_block
from taut.certify.rules.exponential_rules import is_exponential
from taut.certify.rules.fourier_rules import is_fourier_layer
from taut.certify.rules.module_rules import is_plain_linear
from taut.certify.rules.normalisation_rules import BATCH_NORMS, INSTANCE_NORMS, normalisation_proof

Lowering = Callable[[Any, Shape], list[Operation]]


def is_lowered(module: nn.Module) -> bool:
    """Whether `module_operations` knows the module as a whole, by its exact type or its graph."""
    if is_plain_linear(module) or is_plain_convolution(module) or is_block(module) or is_exponential(module):
        return True
    if learned_activation(module) is not None or type(module) in _LEARNED or is_fourier_layer(module):
        return True
    plain = tnn.recognise(module) or module
    return type(plain) in _TABLE or type(plain) in (tnn.LInfDistLinear, tnn.SortLinear)


def module_operations(module: nn.Module, shape: Shape) -> list[Operation] | None:
    """The operations of a module for samples of this shape, in order; None where it has none.

    Raises TypeError and ValueError, not yet naming the module, for settings that cannot be certified.
    """
    for operation in (plain_affine, distance_operation):
        found = operation(module)
        if found is not None:
            return [found]
    for whole in (block_operation, fourier_operation):
        found = whole(module, shape)
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


def _centred(module: tnn.LayerCentering, shape: Shape) -> list[Operation]:
    """The projection along one axis, as a matrix of whole numbers over the size."""
    axis = sample_axis(module.dim, shape)
    size, last = shape[axis], len(shape) - 1
    swap = Permute(axes=tuple({axis: last, last: axis}.get(other, other) for other in range(len(shape))))
    matrix = stored(size * torch.eye(size) - 1.0)  # exact in float32
    moved = tuple(shape[other] for other in swap.axes)
    return [swap, Linear(weight=matrix), *divided(moved, float(size)), swap]


def _unflatten(module: nn.Unflatten, shape: Shape) -> list[Operation]:
    if not isinstance(module.dim, int):
        raise TypeError(f"named axes have no certificate, got dim={module.dim!r}")
    axis = sample_axis(module.dim, shape)
    sizes = torch.empty(shape, device="meta").unflatten(axis, module.unflattened_size).shape
    return [Reshape(shape=tuple(sizes))]


def _celu(module: nn.CELU, shape: Shape) -> list[Operation]:
    """alpha elu(x / alpha)."""
    if not module.alpha > 0:
        raise TypeError(f"alpha={module.alpha} has no certificate: give a positive one")
    elu = entries.Smooth(kind="elu")
    if module.alpha == 1.0:
        return [elu]
    return [*divided(shape, float(module.alpha)), elu, Scale(factor=float(module.alpha))]


def _selu(module: nn.SELU, shape: Shape) -> list[Operation]:
    """Factors as torch has them (Klambauer et al., 2017)."""
    return [entries.Smooth(kind="elu", alpha=1.6732632423543772), Scale(factor=1.0507009873554805)]


def _hard_sigmoid(module: nn.Hardsigmoid, shape: Shape) -> list[Operation]:
    """min(max(x + 3, 0), 6) / 6."""
    return [Shift(offset=stored(torch.tensor(3.0))), entries.Clamp(low=0.0, high=6.0), *divided(shape, 6.0)]


def divided(shape: Shape, divisor: float) -> list[Operation]:
    """x / divisor, with one rounding."""
    column = Reshape(shape=(*shape, 1))
    return [column, pools.Sum(axes=(len(shape),), divisor=divisor)]


def _instance_norm(module: Any, shape: Shape) -> list[Operation]:
    if not module.track_running_stats:
        raise TypeError("it divides by the statistics of the sample, whose rounding is not known: no certificate")
    return _batch_norm(module, shape)


def _refused(reason: str) -> Lowering:
    def refuse(module: Any, shape: Shape) -> list[Operation]:
        raise TypeError(f"{reason}: no certificate")

    return refuse


_LEARNED = (tnn.HouseholderActivation, tnn.LinearSpline, tnn.LipschitzPReLU, tnn.NActivation)
_TABLE: dict[type[nn.Module], Lowering] = {
    nn.Identity: _nothing,
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    nn.ReLU: _entry(entries.ReLU()),
    nn.ReLU6: _entry(entries.Clamp(low=0.0, high=6.0)),
    nn.Hardtanh: lambda m, shape: [entries.Clamp(low=float(m.min_val), high=float(m.max_val))],
    nn.LeakyReLU: lambda m, shape: [entries.LeakyReLU(slope=float(m.negative_slope))],
    nn.ELU: lambda m, shape: [entries.Smooth(kind="elu", alpha=float(m.alpha))],
    nn.CELU: _celu,
    nn.SELU: _selu,
    nn.Hardsigmoid: _hard_sigmoid,
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
    **dict.fromkeys(INSTANCE_NORMS, _instance_norm),
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.PixelShuffle: lambda m, shape: _shuffled(m.upscale_factor, shape, unshuffle=False),
    nn.PixelUnshuffle: lambda m, shape: _shuffled(m.downscale_factor, shape, unshuffle=True),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), windows.max_pool),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), windows.average_pool),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), windows.adaptive_pool),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), windows.adaptive_pool),
    **dict.fromkeys((nn.LPPool1d, nn.LPPool2d, nn.LPPool3d), windows.lp_pool),
    **dict.fromkeys((nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d), copies.zero_pad),
    **dict.fromkeys((nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), copies.zero_pad),
    **dict.fromkeys((nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d), copies.copied),
    **dict.fromkeys((nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d), copies.copied),
    **dict.fromkeys((nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d), copies.copied),
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d), copies.copied),
    **dict.fromkeys((nn.ChannelShuffle, nn.Unfold), copies.rearranged_sample),
    tnn.L2NormPool2d: windows.l2_norm_pool,
    tnn.LayerCentering: _centred,
    **dict.fromkeys((tnn.L2Attention, tnn.SmoothMaxMin), _refused("it divides by what depends on the input")),
}
