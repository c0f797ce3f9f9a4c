"""Windows and reductions: sums, Euclidean norms and maxima of groups of entries."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import BY_CONSTRUCTION, ONE, Operation, Shape, axis_of, check_axes
from taut.certify.rounding import div_up, gamma, inflate, sqrt_up

_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Operation):
    """Maxima of windows; padding never is the maximum."""

    op: ClassVar[str] = "max_pool"
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool

    def __call__(self, x: Tensor) -> Tensor:
        check_axes(x, len(self.kernel))
        pool = _MAX[len(self.kernel) - 1]
        return pool(x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return ONE if norm == "linf" else _root(overlap(self.kernel, self.stride, self.dilation))


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool(Operation):
    """Sums of windows, divided by a number; padded by zeros."""

    op: ClassVar[str] = "sum_pool"
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    divisor: float

    def __call__(self, x: Tensor) -> Tensor:
        rank = len(self.kernel)
        check_axes(x, rank)
        windows = F.pad(x, tuple(side for pad in reversed(self.padding) for side in (pad, pad)))
        for axis in range(rank):
            windows = windows.unfold(2 + axis, self.kernel[axis], self.stride[axis])
        return windows.flatten(-rank).sum(-1) / self.divisor

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        taps = math.prod(self.kernel)
        if norm == "linf":
            return Proof(bound=div_up(float(taps), abs(self.divisor)), method=BY_CONSTRUCTION)
        both = sqrt_up(float(taps * overlap(self.kernel, self.stride)))
        return Proof(bound=div_up(both, abs(self.divisor)), method=BY_CONSTRUCTION)

    def roundings(self, shape: Shape) -> int:
        return math.prod(self.kernel) + 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(self(x.abs()).abs() * (1.0 + 2.0 * gamma(self.roundings(()) + 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class L2Pool(Operation):
    """Euclidean norms of windows."""

    op: ClassVar[str] = "l2_pool"
    kernel: tuple[int, ...]
    stride: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        rank, windows = len(self.kernel), x
        check_axes(x, rank)
        for axis in range(rank):
            windows = windows.unfold(2 + axis, self.kernel[axis], self.stride[axis])
        return euclidean(windows.flatten(-rank), (-1,))

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return _root(math.prod(self.kernel) if norm == "linf" else overlap(self.kernel, self.stride))

    def roundings(self, shape: Shape) -> int:
        return math.prod(self.kernel) + 4

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(self(x) * (1.0 + 2.0 * gamma(self.roundings(()))))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Operation):
    """Sums over whole axes, which vanish, divided by a number."""

    op: ClassVar[str] = "sum"
    axes: tuple[int, ...]
    divisor: float

    def __call__(self, x: Tensor) -> Tensor:
        return x.sum(_axes(self.axes)) / self.divisor

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        count = float(count_of(self.axes, shape))
        largest = count if norm == "linf" else sqrt_up(count)
        return Proof(bound=div_up(largest, abs(self.divisor)), method=BY_CONSTRUCTION)

    def roundings(self, shape: Shape) -> int:
        return count_of(self.axes, shape) + 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(self(x.abs()).abs() * (1.0 + 2.0 * gamma(self.roundings(tuple(x.shape[1:])) + 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class L2Norm(Operation):
    """Euclidean norms over whole axes, which vanish."""

    op: ClassVar[str] = "l2_norm"
    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return euclidean(x, _axes(self.axes))

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return ONE if norm == "l2" else _root(count_of(self.axes, shape))

    def roundings(self, shape: Shape) -> int:
        return count_of(self.axes, shape) + 4

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(self(x) * (1.0 + 2.0 * gamma(self.roundings(tuple(x.shape[1:])))))


@dataclass(frozen=True, kw_only=True, eq=False)
class Max(Operation):
    """Largest entries over whole axes, which vanish."""

    op: ClassVar[str] = "max"
    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.amax(_axes(self.axes))


def overlap(kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...] | None = None) -> int:
    """In how many windows an entry can lie."""
    spread = dilation or (1,) * len(kernel)
    return math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in zip(kernel, stride, spread, strict=True))


def count_of(axes: tuple[int, ...], shape: Shape) -> int:
    """Number of entries that one result is made of."""
    return math.prod(shape[axis] for axis in axes)


def euclidean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Root of the sum of squares; that squares underflow is in `tiny` of the arithmetic."""
    return torch.linalg.vector_norm(x, dim=axes)


def _axes(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis_of(axis) for axis in axes)


def _root(square: int) -> Proof:
    return Proof(bound=sqrt_up(float(square)), method=BY_CONSTRUCTION)
