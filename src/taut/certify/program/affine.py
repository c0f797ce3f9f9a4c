"""Linear maps along the last axis, and affine maps entry by entry or channel by channel."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import ROW_SUMS, Proof, linf_norm_bound, prove_spectral_norm
from taut.certify.program.operation import ONE, Operation, Shape, Stored, check_features, per_channel
from taut.certify.rounding import gamma, inflate, norm_up
from taut.certify.rules.normalisation_rules import stored_statistics_proof


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Operation):
    """x -> W x + b along the last axis."""

    op: ClassVar[str] = "linear"
    measured: ClassVar[bool] = True
    weight: Stored
    bias: Stored | None = None

    def __call__(self, x: Tensor) -> Tensor:
        check_features(x, self.weight)
        return F.linear(x, self.weight.exact, None if self.bias is None else self.bias.exact)

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        if norm == "l2":
            return prove_spectral_norm(self.weight.exact)
        return Proof(bound=linf_norm_bound(self.weight.exact), method=ROW_SUMS)

    def roundings(self, shape: Shape) -> int:
        return self.weight.exact.shape[1] + 1

    def magnitude(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.exact.abs()
        sums = F.linear(x.abs(), self.weight.exact.abs(), bias)
        return inflate(sums * (1.0 + 2.0 * gamma(self.weight.exact.shape[1] + 2)))

    def spread(self, norm: Norm, shape: Shape) -> float:
        weight = self.weight.exact
        return float(norm_up(weight.reshape(-1))) if norm == "l2" else float(norm_up(weight, order=1).amax())


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale(Operation):
    """x -> c x."""

    op: ClassVar[str] = "scale"
    factor: float

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.factor

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return Proof(bound=abs(self.factor), method="factor")

    def roundings(self, shape: Shape) -> int:
        return 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() * abs(self.factor))


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Operation):
    """x -> f x, entry by entry."""

    op: ClassVar[str] = "multiply"
    factor: Stored

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.factor.exact

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return Proof(bound=float(self.factor.exact.abs().amax()), method="largest factor")

    def roundings(self, shape: Shape) -> int:
        return 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() * self.factor.exact.abs())


@dataclass(frozen=True, kw_only=True, eq=False)
class Shift(Operation):
    """x -> x + c, entry by entry."""

    op: ClassVar[str] = "shift"
    offset: Stored

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.offset.exact

    def roundings(self, shape: Shape) -> int:
        return 1

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(x.abs() + self.offset.exact.abs())

    def spread(self, norm: Norm, shape: Shape) -> float:
        return ONE.bound


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNorm(Operation):
    """x -> (x - mean) / sqrt(variance + eps) weight + bias, channel by channel, with the stored statistics."""

    op: ClassVar[str] = "batch_norm"
    measured: ClassVar[bool] = True
    mean: Stored
    variance: Stored
    weight: Stored | None = None
    bias: Stored | None = None
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        rank, channels = x.ndim - 1, len(self.mean.exact)
        if x.ndim < 2 or x.shape[1] != channels:
            raise ValueError(f"it takes {channels} channels, got samples of shape {tuple(x.shape[1:])}")
        y = (x - per_channel(self.mean.exact, rank)) * per_channel(self._scale(), rank)
        return y if self.bias is None else y + per_channel(self.bias.exact, rank)

    def _scale(self) -> Tensor:
        deviation = (self.variance.exact + self.eps).sqrt()
        return 1.0 / deviation if self.weight is None else self.weight.exact / deviation

    def __post_init__(self) -> None:
        if bool((self.variance.exact < 0).any()) or self.eps < 0:
            raise ValueError(f"variances and eps must not be negative, got eps={self.eps}")
        scale, weight = self._scale().abs(), self.weight
        if bool(((scale <= 2.0**-900) & (scale != 0 if weight is None else weight.exact != 0)).any()):
            raise ValueError("a weight over its deviation is too small for float64")

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        weight = None if self.weight is None else self.weight.exact
        return stored_statistics_proof(weight, self.variance.exact, self.eps)

    def roundings(self, shape: Shape) -> int:
        return 16

    def magnitude(self, x: Tensor) -> Tensor:
        rank = x.ndim - 1
        sums = (x.abs() + per_channel(self.mean.exact.abs(), rank)) * per_channel(self._scale().abs(), rank)
        return inflate(sums if self.bias is None else sums + per_channel(self.bias.exact.abs(), rank))
