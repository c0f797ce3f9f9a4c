"""Activations that select and sort: exact, and 1-Lipschitz in both norms."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from taut import nn as tnn
from taut.certify.program.operation import Operation, axis_of


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxMin(Operation):
    """Maxima of the entries i and i + n/2 along an axis, then their minima."""

    op: ClassVar[str] = "max_min"
    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        return tnn.MaxMin(dim=axis_of(self.axis))(x)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSort(Operation):
    """Contiguous groups along an axis, ascending."""

    op: ClassVar[str] = "group_sort"
    axis: int
    size: int

    def __call__(self, x: Tensor) -> Tensor:
        return tnn.GroupSort(self.size, dim=axis_of(self.axis))(x)


@dataclass(frozen=True, kw_only=True, eq=False)
class FullSort(Operation):
    """All entries along an axis, ascending."""

    op: ClassVar[str] = "full_sort"
    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        return x.sort(dim=axis_of(self.axis)).values


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxOut(Operation):
    """Maximum of contiguous groups along an axis."""

    op: ClassVar[str] = "max_out"
    axis: int
    size: int

    def __call__(self, x: Tensor) -> Tensor:
        return x.unflatten(axis_of(self.axis), (-1, self.size)).amax(axis_of(self.axis) + 1)
