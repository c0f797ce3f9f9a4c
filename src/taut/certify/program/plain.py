"""Torch's linear layers and convolutions as operations."""

from typing import Any

from torch import Tensor, nn

from taut.certify.norms.stencil import geometry, is_plain_convolution
from taut.certify.program.affine import Linear
from taut.certify.program.convolution import Conv, ConvTranspose
from taut.certify.program.operation import stored
from taut.certify.rules.module_rules import is_plain_linear


def plain_affine(module: nn.Module) -> Linear | Conv | ConvTranspose | None:
    """The operation of a Linear or a convolution, parametrized or not, as it is now; None for other modules.

    Raises ValueError for NaN or infinite weights.
    """
    plain: Any = module
    if is_plain_linear(module):
        return Linear(weight=stored(plain.weight), bias=_bias(plain))
    if not is_plain_convolution(module):
        return None
    found = geometry(module)
    if found.transposed:
        return ConvTranspose(
            weight=stored(plain.weight),
            bias=_bias(plain),
            stride=found.stride,
            padding=tuple(left for left, _ in found.padding),
            output_padding=found.output_padding,
            dilation=found.dilation,
            groups=found.groups,
        )
    return Conv(
        weight=stored(plain.weight),
        bias=_bias(plain),
        stride=found.stride,
        padding=found.padding,
        dilation=found.dilation,
        groups=found.groups,
        padding_mode=found.padding_mode,
    )


def _bias(module: Any) -> Any:
    return stored(module.bias) if isinstance(module.bias, Tensor) else None
