"""Operations of several inputs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from taut.certify.program.operation import Operation, axis_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Operation):
    """x + y."""

    op: ClassVar[str] = "add"

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


@dataclass(frozen=True, kw_only=True, eq=False)
class Subtract(Operation):
    """x - y."""

    op: ClassVar[str] = "subtract"

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return x - y


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximum(Operation):
    """max(x, y), entry by entry."""

    op: ClassVar[str] = "maximum"

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.maximum(x, y)


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum(Operation):
    """min(x, y), entry by entry."""

    op: ClassVar[str] = "minimum"

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.minimum(x, y)


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Operation):
    """Side by side along an axis."""

    op: ClassVar[str] = "concat"
    axis: int

    def __call__(self, *values: Tensor) -> Tensor:
        return torch.cat(values, axis_of(self.axis))


SUMS = (Add, Subtract)
"""Constants of the branches add up; one rounding."""
JOINS = (Maximum, Minimum, Concat)
"""Branches side by side, or one of them entry by entry; exact."""
