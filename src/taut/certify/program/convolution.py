"""Convolutions, transposed or not, in one to three dimensions."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.convolution import linf_conv_bound, prove_conv_norm
from taut.certify.norms.spectral import Proof
from taut.certify.norms.stencil import Geometry
from taut.certify.program.operation import Operation, Shape, Stored, check_axes
from taut.certify.rounding import gamma, inflate, mul_up, norm_up, sqrt_up

_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Operation):
    """A convolution with its padding."""

    op: ClassVar[str] = "conv"
    measured: ClassVar[bool] = True
    weight: Stored
    bias: Stored | None = None
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str

    def __call__(self, x: Tensor) -> Tensor:
        return self._apply(x, self.weight.exact, None if self.bias is None else self.bias.exact)

    def _apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        check_axes(x, len(self.stride))
        return _CONVOLUTIONS[len(self.stride) - 1](
            padded(x, self.padding, self.padding_mode),
            weight,
            bias,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
        )

    def geometry(self) -> Geometry:
        return Geometry(
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
        )

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        if norm == "linf":
            return linf_conv_bound(self.weight.exact, self.geometry())
        return prove_conv_norm(self.weight.exact, self.geometry(), image_size=shape[1:])

    def roundings(self, shape: Shape) -> int:
        return terms(self.weight.exact) + 1

    def magnitude(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.exact.abs()
        sums = self._apply(x.abs(), self.weight.exact.abs(), bias)
        return inflate(sums * (1.0 + 2.0 * gamma(terms(self.weight.exact) + 2)))

    def spread(self, norm: Norm, shape: Shape) -> float:
        if norm == "linf":
            return self.proof(norm, shape).bound
        return kernel_spread(self.weight.exact, repeats(self.padding, self.padding_mode, shape[1:]))


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvTranspose(Operation):
    """A transposed convolution, padded by zeros."""

    op: ClassVar[str] = "conv_transpose"
    measured: ClassVar[bool] = True
    weight: Stored
    bias: Stored | None = None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __call__(self, x: Tensor) -> Tensor:
        return self._apply(x, self.weight.exact, None if self.bias is None else self.bias.exact)

    def _apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        check_axes(x, len(self.stride))
        options: dict[str, Any] = {"padding": self.padding, "output_padding": self.output_padding}
        return _TRANSPOSED[len(self.stride) - 1](
            x, weight, bias, stride=self.stride, dilation=self.dilation, groups=self.groups, **options
        )

    def geometry(self) -> Geometry:
        return Geometry(
            stride=self.stride,
            padding=tuple((side, side) for side in self.padding),
            dilation=self.dilation,
            groups=self.groups,
            transposed=True,
            output_padding=self.output_padding,
        )

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        if norm == "linf":
            return linf_conv_bound(self.weight.exact, self.geometry())
        return prove_conv_norm(self.weight.exact, self.geometry(), image_size=shape[1:])

    def roundings(self, shape: Shape) -> int:
        weight = self.weight.exact
        return weight[:, 0].numel() // self.groups + 1

    def magnitude(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.exact.abs()
        sums = self._apply(x.abs(), self.weight.exact.abs(), bias)
        return inflate(sums * (1.0 + 2.0 * gamma(self.roundings(()) + 1)))

    def spread(self, norm: Norm, shape: Shape) -> float:
        return self.proof(norm, shape).bound if norm == "linf" else kernel_spread(self.weight.exact, 1)


def terms(weight: Tensor) -> int:
    """Products that an output of a convolution sums."""
    return weight[0].numel()


def padded(x: Tensor, padding: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """The image with its padding."""
    sides = tuple(side for pair in reversed(padding) for side in pair)
    return F.pad(x, sides, mode="constant" if mode == "zeros" else mode) if any(sides) else x


def kernel_spread(weight: Tensor, repeated: int) -> float:
    """Bound of the l2 norm of the convolution with |weight|: a sum over taps of matrices, after the padding."""
    taps = math.prod(weight.shape[2:])
    return mul_up(float(norm_up(weight.reshape(-1))), sqrt_up(float(taps * repeated)))


def repeats(padding: tuple[tuple[int, int], ...], mode: str, size: tuple[int, ...]) -> int:
    """How often padding repeats an entry at most."""
    if mode == "zeros":
        return 1
    each = {
        "reflect": lambda left, right, n: 3,
        "replicate": lambda left, right, n: 1 + left + right,
        "circular": lambda left, right, n: 1 - (-(left + right) // n),
    }[mode]
    return math.prod(each(*sides, n) for sides, n in zip(padding, size, strict=True))
