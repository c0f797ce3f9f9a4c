r"""Geometry of a convolution, and its polyphase form: a stride-1, dilation-1 kernel with the same norm.

An infinite convolution with stride s reads only positions s j + d t. With g = gcd(s, d) these are multiples of g, so
that it is the convolution with stride s/g and dilation d/g; there the tap t belongs to the phase t mod (s/g), and
within a phase a dilation only stretches the frequency axis. So its norm is that of the undilated kernel whose channels
are the pairs of an input channel and a phase of stride s/g.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from taut.certify.norms.gram import exact_float64
from taut.nn.conv._arguments import stride_divides

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
PADDING_MODES = ("zeros", "circular", "reflect", "replicate")


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A convolution without its weight: one entry per spatial axis. Refuses what no torch convolution has."""

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    """(left, right)."""
    padding_mode: str = "zeros"
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    """Of a transposed convolution: entries that are kept, of the output that `padding` cuts off; the norm has no use
    for it."""
    stride_divides: bool = False
    """With circular padding, images whose sides the stride does not divide are refused by the module itself."""

    def __post_init__(self) -> None:
        if not len(self.stride) == len(self.padding) == len(self.dilation) or not self.stride:
            raise ValueError(f"stride, padding and dilation must have one entry per axis, got {self}")
        for name, values, least in (("stride", self.stride, 1), ("dilation", self.dilation, 1)):
            if any(value < least for value in values):
                raise ValueError(f"{name} must be >= {least}, got {values}")
        if any(side < 0 for pair in self.padding for side in pair):
            raise ValueError(f"padding must be >= 0, got {self.padding}")
        if self.groups < 1:
            raise ValueError(f"groups must be >= 1, got {self.groups}")
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {self.padding_mode!r}")
        if self.transposed and self.padding_mode != "zeros":
            raise ValueError(f"a transposed convolution has padding_mode 'zeros', got {self.padding_mode!r}")


def is_plain_convolution(module: nn.Module) -> bool:
    """One of torch's six convolutions or a subclass, parametrized or not, that leaves `forward` alone."""
    if isinstance(module, LazyModuleMixin):
        return False
    for cls in (*CONVOLUTIONS, *TRANSPOSED):
        if isinstance(module, cls):
            own: Any = type(module)
            if own.forward is not cls.forward:
                return False
            return cls in TRANSPOSED or own._conv_forward in (cls._conv_forward, stride_divides)
    return False


def geometry(module: nn.Module) -> Geometry:
    """What the module does besides multiplying by its weight.

    TypeError for a module that is no plain convolution, and for one that pads by something else than it says.
    """
    if not is_plain_convolution(module):
        raise TypeError(f"a convolution of torch that leaves `forward` alone is needed, got {type(module).__name__}")
    conv: Any = module
    axes = len(conv.kernel_size)
    padding = paddings(conv.padding, tuple(conv.kernel_size), tuple(conv.dilation))
    if not conv.transposed and conv.padding_mode != "zeros":
        done = tuple(conv._reversed_padding_repeated_twice)  # what torch pads by, computed when it was made
        if done != tuple(side for pair in reversed(padding) for side in pair):
            raise TypeError(
                f"a convolution whose padding was changed after it was made has no Lipschitz rule: padding is "
                f"{conv.padding!r}, but the mode {conv.padding_mode!r} pads by {done}"
            )
    return Geometry(
        stride=tuple(conv.stride),
        padding=padding,
        padding_mode=conv.padding_mode,
        stride_divides=getattr(type(conv), "_conv_forward", None) is stride_divides,
        dilation=tuple(conv.dilation),
        groups=conv.groups,
        transposed=conv.transposed,
        output_padding=tuple(conv.output_padding) if conv.transposed else (0,) * axes,
    )


def per_axis(name: str, value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number per axis. ValueError for another count or type."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        raise ValueError(f"{name} must be an integer or {axes} of them, got {value!r}")
    return values


def paddings(
    padding: int | str | tuple[int, ...], kernel_size: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """(left, right) of each axis; "same" puts the odd one to the right, as torch does."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be integers, 'same' or 'valid', got {padding!r}")
        totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel_size, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((side, side) for side in per_axis("padding", padding, len(kernel_size)))


def grouped_kernel(weight: Float[Tensor, "out in *taps"], shape: Geometry) -> Float[Tensor, "groups o i *taps"]:
    """The weight in exact float64, by groups. A transposed convolution is the adjoint of the one with its weight.

    Raises ValueError for another number of axes, an empty weight, groups that do not divide, NaN or infinity.
    """
    if weight.ndim != len(shape.stride) + 2 or weight.numel() == 0:
        axes = len(shape.stride)
        raise ValueError(f"a weight with {axes} spatial axes and no empty one is needed, got {tuple(weight.shape)}")
    if weight.shape[0] % shape.groups:
        raise ValueError(f"groups must divide the first axis of the weight, {len(weight)}, got {shape.groups}")
    return exact_float64(weight).unflatten(0, (shape.groups, -1))


def reduced_strides(shape: Geometry) -> tuple[int, ...]:
    """Stride over its greatest common divisor with the dilation."""
    return tuple(s // math.gcd(s, d) for s, d in zip(shape.stride, shape.dilation, strict=True))


def polyphase(
    kernel: Float[Tensor, "groups o i *taps"], strides: tuple[int, ...]
) -> Float[Tensor, "groups o phases *fewer"]:
    """Kernel of stride 1 whose input channels are pairs of a channel and a phase, per axis; the norm is the same."""
    for axis, stride in enumerate(strides):
        size = kernel.shape[3 + axis]
        phases = min(stride, size)
        missing = -size % phases
        if missing:
            zeros = kernel.new_zeros(*kernel.shape[: 3 + axis], missing, *kernel.shape[4 + axis :])
            kernel = torch.cat((kernel, zeros), dim=3 + axis)
        kernel = kernel.unflatten(3 + axis, (-1, phases)).movedim(4 + axis, 3).flatten(2, 3)
    return kernel
