r"""Layers of distances: what they compute, and how far rounding can take it.

For one output with differences d_i, sorted downwards, D = d_1, exact rank weights v_i = (1 - q) q^(i-1), computed ones
r_i for i <= k, and rho >= sum_i |r_i - v_i| (over all ranks, r_i = 0 beyond k): each d_i is rounded once and sorting
rounds nothing, so that the computed sum lies within gamma_{k+1} (1 + rho) D + rho D of the exact one, and adding a bias
b rounds once more, together at most (gamma_{k+2} (1 + rho) + rho) (D + |b|). A folded layer sums q^(i-1) d_i and
subtracts q times the sum from it, which adds at most gamma_{k+8} D + gamma_8 / (1 - q) D. In all that is less than
gamma_K (D + |b|) with K = 4 n + 64 + 16 / (1 - q) for n inputs, which is checked. With q = 0 it is
one maximum, and K = 2.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify.breakdown import Norm
from taut.certify.norms.spectral import Proof
from taut.certify.program.operation import BY_CONSTRUCTION, Operation, Shape, Stored, check_features, stored
from taut.certify.rounding import UNDERFLOW, UNIT_ROUNDOFF, add_up, div_up, gamma, inflate, mul_up, sqrt_up
from taut.functional import linf_distance, sort_neuron
from taut.functional.sort_neuron import rank_weights, ranks_that_count


@dataclass(frozen=True, kw_only=True, eq=False)
class Distance(Operation):
    """x -> sum_i (1 - q) q^(i-1) |x - w_j|_(i) + b_j, sorted downwards; the maximum for q = 0."""

    op: ClassVar[str] = "distance"
    weight: Stored
    bias: Stored | None = None
    q: float

    def __call__(self, x: Tensor) -> Tensor:
        check_features(x, self.weight)
        weight = self.weight.exact
        values = sort_neuron(x, weight, q=self.q) if self.q else linf_distance(x, weight)
        return values if self.bias is None else values + self.bias.exact

    def proof(self, norm: Norm, shape: Shape) -> Proof:
        constant = 1.0 if norm == "linf" else sqrt_up(float(len(self.weight.exact)))
        return Proof(bound=constant, method=BY_CONSTRUCTION)

    def magnitude(self, x: Tensor) -> Tensor:
        sizes = linf_distance(x, self.weight.exact)
        return inflate(sizes if self.bias is None else sizes + self.bias.exact.abs())

    def roundings(self, shape: Shape) -> int:
        """K; see the module's docstring."""
        if self.q == 0.0:
            return 2
        rho = self._rank_error()
        own = add_up(mul_up(gamma(self._count + 2), add_up(1.0, rho)), rho)
        total = add_up(own, add_up(gamma(self._count + 8), div_up(gamma(8), 1.0 - self.q)))
        stated = 4 * self.weight.exact.shape[1] + 64 + math.ceil(16.0 / (1.0 - self.q))
        if total > stated * UNIT_ROUNDOFF:
            raise ValueError(f"with q={self.q} the roundings cannot be bounded: q is too close to 1")
        return stated

    @property
    def ranks(self) -> Tensor:
        """The computed weights of the ranks that are summed."""
        return rank_weights(self.q, self._count, self.weight.exact)

    @property
    def _count(self) -> int:
        return ranks_that_count(self.q, self.weight.exact.shape[1], torch.finfo(torch.float64).eps)

    def _rank_error(self) -> float:
        """rho in rational arithmetic: no library's power function is trusted."""
        q, power, error = Fraction(self.q), 1 - Fraction(self.q), Fraction(0)
        for computed in self.ranks.tolist():
            error += abs(Fraction(computed) - power)
            power = _cut(power * q)
        beyond = power / (1 - q) if self._count < self.weight.exact.shape[1] else 0  # what is left out, in all
        return math.nextafter(float(error + beyond), math.inf) + UNDERFLOW


def _cut(value: Fraction) -> Fraction:
    """To a multiple of 2^-1100, which keeps the rational numbers short; a million such losses are below 2^-960."""
    return Fraction(round(value * 2**1100), 2**1100)


def distance_operation(module: nn.Module) -> Distance | None:
    """The operation of a layer of distances, folded or not; None for other modules. TypeError where it is relaxed."""
    layer = tnn.recognise(module) or module
    if type(layer) is not tnn.LInfDistLinear and type(layer) is not tnn.SortLinear:
        return None
    if layer.p < math.inf:
        raise TypeError(
            f"it is relaxed to p={layer.p:g}, and cannot be certified: call taut.optim.relax_(model, math.inf)"
        )
    return Distance(
        weight=stored(layer.weight),
        bias=stored(layer.bias) if isinstance(layer.bias, torch.Tensor) else None,
        q=layer.q if isinstance(layer, tnn.SortLinear) else 0.0,
    )
