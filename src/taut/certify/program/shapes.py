"""Operations that put entries elsewhere, leave them out, repeat them, or add zeros: exact."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import BY_CONSTRUCTION, ONE, Operation, Shape, axis_of
from taut.certify.rounding import sqrt_up


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Operation):
    """The same entries, row-major, in another shape."""

    op: ClassVar[str] = "reshape"
    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Permute(Operation):
    """Axes in another order."""

    op: ClassVar[str] = "permute"
    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.permute(0, *(axis_of(axis) for axis in self.axes))


@dataclass(frozen=True, kw_only=True, eq=False)
class Take(Operation):
    """Entries of the given indices along an axis: slices, reversals, shifts, repetitions."""

    op: ClassVar[str] = "take"
    axis: int
    index: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.index_select(axis_of(self.axis), torch.tensor(self.index, device=x.device, dtype=torch.int64))

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        most = max(Counter(self.index).values(), default=1)
        return ONE if norm == "linf" else Proof(bound=sqrt_up(float(most)), method=BY_CONSTRUCTION)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Operation):
    """Zeros before and after, along every axis."""

    op: ClassVar[str] = "pad"
    widths: tuple[tuple[int, int], ...]

    def __call__(self, x: Tensor) -> Tensor:
        return F.pad(x, tuple(side for pair in reversed(self.widths) for side in pair))
