r"""Layers of distances as steps of a float64 evaluation: what they compute, and how far rounding can take it.

For one output with differences d_i, sorted downwards, D = d_1, exact rank weights v_i = (1 - q) q^(i-1), computed ones
r_i for i <= k, and rho >= sum_i |r_i - v_i| (over all ranks, r_i = 0 beyond k): each d_i is rounded once and sorting
rounds nothing, so that the computed sum lies within gamma_{k+1} (1 + rho) D + rho D of the exact one, and adding a bias
b rounds once more, together at most (gamma_{k+2} (1 + rho) + rho) (D + |b|). A folded layer sums q^(i-1) d_i and
subtracts q times the sum from it, which adds at most gamma_{k+8} D + gamma_8 / (1 - q) D. With q = 0 it is one maximum.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut import nn as tnn
from taut.certify.norms.gram import exact_float64
from taut.certify.rounding import UNDERFLOW, add_up, div_up, gamma, inflate, mul_up
from taut.functional import linf_distance, sort_neuron
from taut.functional.sort_neuron import rank_weights, ranks_that_count


@dataclass(frozen=True, kw_only=True, eq=False)
class Distance:
    """x -> sum_i (1 - q) q^(i-1) |x - w_j|_(i) + b_j, sorted downwards; the maximum for q = 0."""

    name: str
    kind: str
    q: float
    stored: tuple[Tensor, ...]
    """Weight and, where there is one, bias, in the dtype of the model: what is hashed."""
    weight: Float[Tensor, "out in"]
    """The same weight, exactly, in float64 on the CPU."""
    bias: Float[Tensor, " out"] | None
    """The same bias in float64."""

    def __call__(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch out"]:
        if x.ndim < 2 or x.shape[-1] != self.weight.shape[1]:
            shapes = f"{self.weight.shape[1]} features, got shape {tuple(x.shape)}"
            raise ValueError(f"module {self.name!r} ({self.kind}) takes {shapes}")
        values = sort_neuron(x, self.weight, q=self.q) if self.q else linf_distance(x, self.weight)
        return values if self.bias is None else values + self.bias

    def magnitude(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch out"]:
        """D + |b|, rounded up: what the relative rounding error is relative to."""
        sizes = linf_distance(x, self.weight)
        return inflate(sizes if self.bias is None else sizes + self.bias.abs())

    @property
    def ranks(self) -> Float[Tensor, " count"]:
        """The computed weights of the ranks that are summed."""
        return rank_weights(self.q, self._count, self.weight)

    @property
    def roundoff(self) -> float:
        """Bound of |computed - exact| / (D + |b|); see the module's docstring."""
        if self.q == 0.0:
            return gamma(2)
        rho = self._rank_error()
        own = add_up(mul_up(gamma(self._count + 2), add_up(1.0, rho)), rho)
        return add_up(own, add_up(gamma(self._count + 8), div_up(gamma(8), 1.0 - self.q)))

    @property
    def _count(self) -> int:
        return ranks_that_count(self.q, self.weight.shape[1], torch.finfo(torch.float64).eps)

    def _rank_error(self) -> float:
        """rho in rational arithmetic: no library's power function is trusted."""
        q, power, error = Fraction(self.q), 1 - Fraction(self.q), Fraction(0)
        for computed in self.ranks.tolist():
            error += abs(Fraction(computed) - power)
            power = _cut(power * q)
        beyond = power / (1 - q) if self._count < self.weight.shape[1] else 0  # what is left out, in all
        return math.nextafter(float(error + beyond), math.inf) + UNDERFLOW


def _cut(value: Fraction) -> Fraction:
    """To a multiple of 2^-1100, which keeps the rational numbers short; a million such losses are below 2^-960."""
    return Fraction(round(value * 2**1100), 2**1100)


def distance_step(module: nn.Module, name: str) -> Distance | None:
    """The step of a layer of distances, folded or not; None for other modules. TypeError where it is relaxed."""
    layer = tnn.recognise(module) or module
    if type(layer) is not tnn.LInfDistLinear and type(layer) is not tnn.SortLinear:
        return None
    kind = type(layer).__name__
    if layer.p < math.inf:
        raise TypeError(
            f"module {name!r} ({kind}) is relaxed to p={layer.p:g}, and cannot be certified: call "
            "taut.optim.relax_(model, math.inf)"
        )
    stored = tuple(value.detach() for value in (layer.weight, layer.bias) if isinstance(value, Tensor))
    try:
        exact = [exact_float64(value) for value in stored]
    except ValueError as error:
        raise ValueError(f"weights of module {name!r}: {error}") from error
    return Distance(
        name=name,
        kind=kind,
        q=layer.q if isinstance(layer, tnn.SortLinear) else 0.0,
        stored=stored,
        weight=exact[0],
        bias=exact[1] if len(exact) > 1 else None,
    )
