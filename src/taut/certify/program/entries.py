"""Functions of single entries."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import BY_CONSTRUCTION, Operation, Shape
from taut.certify.rounding import inflate
from taut.nn import constant

SmoothKind = Literal["tanh", "sigmoid", "elu", "silu", "gelu"]
_MODULES = {
    "tanh": torch.nn.Tanh(),
    "sigmoid": torch.nn.Sigmoid(),
    "silu": torch.nn.SiLU(),
    "gelu": torch.nn.GELU(),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class ReLU(Operation):
    """x -> max(x, 0)."""

    op: ClassVar[str] = "relu"

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Abs(Operation):
    """x -> |x|."""

    op: ClassVar[str] = "abs"

    def __call__(self, x: Tensor) -> Tensor:
        return x.abs()


@dataclass(frozen=True, kw_only=True, eq=False)
class Negate(Operation):
    """x -> -x."""

    op: ClassVar[str] = "negate"

    def __call__(self, x: Tensor) -> Tensor:
        return -x


@dataclass(frozen=True, kw_only=True, eq=False)
class Clamp(Operation):
    """x -> min(max(x, low), high). A bound that the arithmetic has to round counts as one rounding."""

    op: ClassVar[str] = "clamp"
    low: float
    high: float

    def __call__(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)

    def roundings(self, shape: Shape) -> int:
        """None where every arithmetic holds the bounds."""
        return int(any(end != int(end) or abs(end) > 256 for end in self._ends()))

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.full_like(x, max(map(abs, self._ends()), default=0.0))

    def _ends(self) -> list[float]:
        return [end for end in (self.low, self.high) if math.isfinite(end)]

    def spread(self, norm: Norm, shape: Shape) -> float:
        return 0.0

    def settings(self) -> dict[str, Any]:
        """JSON has no infinity."""
        ends = {"low": self.low, "high": self.high}
        return {name: end if math.isfinite(end) else str(end) for name, end in ends.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakyReLU(Operation):
    """x -> x for x > 0, slope x elsewhere."""

    op: ClassVar[str] = "leaky_relu"
    slope: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return Proof(bound=max(1.0, abs(self.slope)), method=BY_CONSTRUCTION)

    def roundings(self, shape: Shape) -> int:
        return 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() * max(1.0, abs(self.slope)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Smooth(Operation):
    """tanh, sigmoid, ELU, SiLU or exact GELU; tanh, exp and erf are trusted to 2^-46 relative."""

    op: ClassVar[str] = "smooth"
    kind: SmoothKind
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(SmoothKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(SmoothKind))}, got {self.kind!r}")

    def __call__(self, x: Tensor) -> Tensor:
        return F.elu(x, self.alpha) if self.kind == "elu" else _MODULES[self.kind](x)

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        bound = max(1.0, abs(self.alpha)) if self.kind == "elu" else constant(_MODULES[self.kind], norm)
        assert bound is not None
        return Proof(bound=bound, method=BY_CONSTRUCTION)

    def roundings(self, shape: Shape) -> int:
        return 1024

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() + (abs(self.alpha) if self.kind == "elu" else 1.0))

    def spread(self, norm: Norm, shape: Shape) -> float:
        return 1.0
