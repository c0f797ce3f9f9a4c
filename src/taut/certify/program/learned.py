r"""Activations with parameters for each channel: what they compute, and how far rounding can take it.

The computed entry lies within gamma_k m of the exact one:

- PReLU, one product: k = 1, m = max(1, |s|) |x|.
- N-activation, one difference, clamping and doubling being exact: k = 1, m = |x| + 2 max(|a|, |b|).
- A fold z - 2 max(0, p) v, p = <v, z>: p is off by gamma_2 s with s = <|v|, |z|>, the maximum adds nothing, then
  follow a product and a difference: k = 8 is ample, m = |z_i| + 2 |v_i| s.
- A spline of P pieces: with U = |x w| + P/2, R the largest |rise| and T = |start| + sum |rises| of the channel, the
  position is off by gamma_2 U, which moves the continuous function by R gamma_2 U whichever piece is then taken; the
  value at its lower end is off by gamma_{P+1} T, and the three roundings that follow cost gamma_3 (T + 3 R U) and
  little more: k = P + 16, m = T + R U.

m grows with x by no more than N |x' - x| in either norm: N is the largest max(1, |s|), 1, 1 + 2 (|v_1| + |v_2|)^2 and
R |w|.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import Operation, Shape, Stored, stored
from taut.certify.rounding import gamma, inflate
from taut.certify.rules.activation_rules import constant_of, learned_activation
from taut.functional.householder_activation import householder_fold_formula
from taut.functional.linear_spline import linear_spline_formula
from taut.functional.n_activation import n_activation_formula

_CLASSES = (tnn.HouseholderActivation, tnn.LinearSpline, tnn.LipschitzPReLU, tnn.NActivation)


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned(Operation):
    """An activation with parameters for each channel, which are in axis 0."""

    formula: ClassVar[str]
    """Its key among the rules of activations."""

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        return constant_of(self.formula, self._exact(), norm)

    def magnitude(self, x: Tensor) -> Tensor:
        return inflate(self._sizes(x.abs().movedim(1, -1)).movedim(-1, 1))

    @abstractmethod
    def _sizes(self, x: Tensor) -> Tensor:
        """m at |x|, channels last."""

    def _exact(self) -> dict[str, Tensor]:
        return {name: value.exact for name, value in self.tensors().items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class PReLU(Learned):
    """x -> x for x > 0, s x elsewhere, with one slope or one per channel."""

    op: ClassVar[str] = "prelu"
    formula: ClassVar[str] = "prelu"
    weight: Stored

    def __call__(self, x: Tensor) -> Tensor:
        last = x.movedim(1, -1)
        return torch.where(last > 0, last, self.weight.exact * last).movedim(-1, 1)

    def roundings(self, shape: Shape) -> int:
        return 1

    def _sizes(self, x: Tensor) -> Tensor:
        return self.weight.exact.abs().clamp(min=1.0) * x


@dataclass(frozen=True, kw_only=True, eq=False)
class NActivation(Learned):
    """x -> x - 2 min(max(x, low), high)."""

    op: ClassVar[str] = "n_activation"
    formula: ClassVar[str] = "n"
    low: Stored
    high: Stored

    def __call__(self, x: Tensor) -> Tensor:
        return n_activation_formula(x, **self._exact())

    def roundings(self, shape: Shape) -> int:
        return 1

    def _sizes(self, x: Tensor) -> Tensor:
        return x + 2.0 * torch.maximum(self.low.exact.abs(), self.high.exact.abs())


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold(Learned):
    """z -> z - 2 max(0, <v, z>) v for pairs z of channels i and i + n/2."""

    op: ClassVar[str] = "fold"
    formula: ClassVar[str] = "fold"
    normal: Stored

    def __call__(self, x: Tensor) -> Tensor:
        return householder_fold_formula(x, normal=self.normal.exact)

    def roundings(self, shape: Shape) -> int:
        return 8

    def spread(self, norm: Norm, shape: Shape) -> float:
        return float(inflate(1.0 + 2.0 * self.normal.exact.abs().sum(0).square().amax()))

    def _sizes(self, x: Tensor) -> Tensor:
        sizes, (a, b) = self.normal.exact.abs(), x.chunk(2, -1)
        twice = 2.0 * (a * sizes[0] + b * sizes[1])
        return torch.cat((a + twice * sizes[0], b + twice * sizes[1]), -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spline(Learned):
    """A continuous function of each channel, linear between knots at equal distances."""

    op: ClassVar[str] = "spline"
    formula: ClassVar[str] = "spline"
    start: Stored
    rises: Stored
    inverse_step: Stored

    def __call__(self, x: Tensor) -> Tensor:
        return linear_spline_formula(x, **self._exact(), pieces=self._pieces)

    @property
    def _pieces(self) -> int:
        return self.rises.exact.shape[1]

    def roundings(self, shape: Shape) -> int:
        return self._pieces + 16

    def _sizes(self, x: Tensor) -> Tensor:
        rises, pieces = self.rises.exact.abs(), self._pieces
        room = 1.0 + 2.0 * gamma(pieces + 2)  # for the sum of the rises
        total = (self.start.exact.abs() + rises.sum(1)) * room
        return total + rises.amax(1) * (x * self.inverse_step.exact.abs() + pieces / 2)


_OPERATIONS: dict[str, type[Learned]] = {cls.formula: cls for cls in (PReLU, NActivation, Fold, Spline)}


def learned_operation(module: nn.Module, channels: int) -> Learned | None:
    """The operation of such an activation, folded or not; None for other modules.

    Raises ValueError for parameters that are not finite, or made for another number of channels.
    """
    found = learned_activation(module.fold() if type(module) in _CLASSES else module)  # type: ignore[operator]
    if found is None or found[0] not in _OPERATIONS:
        return None
    formula, numbers = found
    own = numbers["normal"].numel() if formula == "fold" else len(next(iter(numbers.values())))
    if own != channels and not (formula == "prelu" and own == 1):
        raise ValueError(f"it has parameters for {own} channels, and its input has {channels}")
    return _OPERATIONS[formula](**{name: stored(value) for name, value in numbers.items()})
