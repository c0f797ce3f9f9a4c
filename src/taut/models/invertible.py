r"""Invertible networks: chains of x + L g(x), L < 1, with proven errors of their inverse, and densities."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut import certify
from taut import nn as tnn
from taut.functional import FixedPoint, attach_gradient, log_abs_det
from taut.models._parts import dense_layers, named
from taut.models.critics import critic_activations, critic_linears
from taut.models.standardise import Standardise

UP = 1.0 + 2.0**-48
"""More than what a few float64 roundings take from a product."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inversion:
    """Inputs of a chain that were found from its outputs."""

    x: Tensor
    blocks: tuple[FixedPoint, ...]
    """Of each residual block, the first block first."""
    error_bound: float
    """Of the distance (l2) of each row of `x` to the exact inverse, from those of the blocks; rounding excepted."""


class InvertibleNetwork(nn.Module):
    r"""f = f_n o ... o f_0 on vectors: f_0 standardises, the others are x + L g_i(x) with g_i 1-Lipschitz (l2), L < 1.

    f is s (1 + L)^n-Lipschitz, its inverse (1 - L)^-n / s'-Lipschitz (l2), s and s' the largest and smallest scale.

    Shapes: (batch, features) -> the same.

    Args:
        features: Entries of a sample.
        blocks: n.
        width: Features of the hidden layers of each branch g.
        depth: Hidden layers of each branch.
        linear: A key of `critic_linears()`.
        activation: A key of `critic_activations()`.
        group_size: Of the activations that have one.
        lipschitz: L.

    Raises:
        ValueError: A size, a name or a combination that is not allowed; L outside (0, 1).

    Source: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen (2019).

    Example:
        >>> f = InvertibleNetwork(2, blocks=3, width=16)
        >>> x = torch.randn(5, 2)
        >>> bool((f.inverse(f(x), tolerance=1e-3) - x).norm(dim=1).max() < 2e-3)
        True
    """

    def __init__(
        self,
        features: int,
        *,
        blocks: int = 6,
        width: int = 64,
        depth: int = 2,
        linear: str = "bjorck",
        activation: str = "max-min",
        group_size: int = 2,
        lipschitz: float = 0.8,
    ) -> None:
        super().__init__()
        if features < 1 or blocks < 1:
            raise ValueError(f"features and blocks must be at least 1, got {features} and {blocks}")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, or the map is affine; got {depth}")
        cls, act = named("linear", linear, critic_linears()), named("activation", activation, critic_activations())
        self.first = Standardise(features)
        self.blocks = nn.Sequential()
        for _ in range(blocks):
            hidden, inner = dense_layers(
                features, width=width, depth=depth, linear=cls, activation=act, group_size=group_size
            )
            branch = tnn.Sequential(*hidden, cls(inner, features))
            self.blocks.append(tnn.InvertibleResidual(branch, lipschitz=lipschitz))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.first(x))

    def residuals(self) -> Iterator[tnn.InvertibleResidual]:
        """The blocks, first to last."""
        for block in self.blocks:
            assert isinstance(block, tnn.InvertibleResidual)
            yield block

    def log_prob(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        """log N(f(x); 0, I) + log |det J_f(x)|: the density whose samples are f^-1 of normal ones. Exact but for
        rounding; one backward pass for each feature and block."""
        with parametrize.cached():
            z, total = self.first(x), self.first.scale.log().sum()
            for block in self.residuals():
                z, found = log_abs_det(block, z)
                total = total + found
        return normal_log_density(z) + total

    def inverse(
        self,
        z: Tensor,
        *,
        tolerance: float = 1e-5,
        contractions: Sequence[float] | None = None,
        block_tolerance: float | None = None,
    ) -> Tensor:
        """The x with f(x) = z, within `tolerance` for each row (l2) where the contractions are proven.

        Differentiable where gradients are enabled. Arguments and errors as those of `inversion`.
        """
        options = {"tolerance": tolerance, "block_tolerance": block_tolerance}
        with parametrize.cached():
            if not torch.is_grad_enabled():
                return self.inversion(z, contractions=contractions, **options).x
            self.blocks(z[:1].detach())  # with gradients, so that weights that are kept for all steps have theirs
            found = self.inversion(z.detach(), contractions=contractions, **options)
            rates, exact = self._rates(contractions), block_tolerance or tolerance
            for block, rate, point in reversed(list(zip(self.residuals(), rates, found.blocks, strict=True))):
                z = attach_gradient(block.residual, z, point.x, contraction=rate, tolerance=exact)
            return self.first.inverse(z)

    @torch.no_grad()
    def inversion(
        self,
        z: Tensor,
        *,
        tolerance: float = 1e-5,
        contractions: Sequence[float] | None = None,
        block_tolerance: float | None = None,
        max_steps: int = 10_000,
        early: bool = True,
    ) -> Inversion:
        r"""The inverse, with the steps and errors of each block.

        The error of block i reaches the input multiplied by the constants 1 / (1 - c_j) of the inverses that follow,
        and by that of the first layer's. Each block gets an equal share of `tolerance` at the input. In the worst case
        that takes many digits: use float64, or give each block the error `block_tolerance` of its own instead.

        Args: `contractions`, those of `proven_contractions`, without which each block counts on L.
        Errors: ValueError for another number of contractions; RuntimeError, as for a block.
        """
        rates = self._rates(contractions)
        gains = [self.inverse_gain()]
        for rate in rates:
            gains.append(gains[-1] / (1.0 - rate) * UP)
        solved: list[FixedPoint] = []
        with parametrize.cached():
            x, total = z, 0.0
            for index, block in reversed(list(enumerate(self.residuals()))):
                share = tolerance / (len(rates) * gains[index] * UP) if block_tolerance is None else block_tolerance
                point = block.inversion(x, tolerance=share, contraction=rates[index], max_steps=max_steps, early=early)
                solved.insert(0, point)
                x, total = point.x, total + point.error_bound * gains[index] * UP
        return Inversion(x=self.first.inverse(x), blocks=tuple(solved), error_bound=total * UP)

    def fold(self) -> nn.Sequential:
        """The same function as a chain; `taut.nn.fold` makes its layers plain."""
        return nn.Sequential(self.first, *self.blocks)

    def inverse_gain(self) -> float:
        """Lipschitz constant (l2) of the first layer's inverse, rounded up."""
        return UP / float(self.first.scale.double().min())

    def _rates(self, contractions: Sequence[float] | None) -> list[float]:
        rates = [block.lipschitz for block in self.residuals()] if contractions is None else list(contractions)
        if len(rates) != len(self.blocks):
            raise ValueError(f"contractions must be one for each of the {len(self.blocks)} blocks, got {len(rates)}")
        return rates


def proven_contractions(network: InvertibleNetwork) -> tuple[float, ...]:
    """L times the proven Lipschitz constant (l2) of each branch, rounded up: what the inverse may count on.

    Raises TypeError for a branch of which no constant is known.

    Example:
        >>> 0.8 <= proven_contractions(InvertibleNetwork(2, blocks=1, width=8))[0] < 0.8001
        True
    """
    return tuple(
        certify.lipschitz_bound(tnn.fold(block.branch), norm="l2") * block.lipschitz * UP
        for block in network.residuals()
    )


def normal_log_density(z: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
    """log N(z; 0, I) of each row."""
    return -z.square().sum(dim=1) / 2 - z.shape[1] * math.log(2 * math.pi) / 2
