"""Uniform laws on boxes."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, listed, shown, sized, tensor_of


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class UniformCube(Distribution):
    """The uniform law on the box [low, high], side by side the same or not.

    Args:
        low: The lowest corner, of the shape of a sample; a single number is a law in one dimension.
        high: The highest corner, above `low` in every entry.

    Raises:
        ValueError: Corners that are not finite numbers, of different shapes, or not below one another.

    Example:
        >>> UniformCube([0, 0], [1, 2]).description
        'the uniform law in 2 dimensions between (0, 0) and (1, 2)'
    """

    low: Float64[Tensor, "*shape"]
    """The lowest corner."""
    high: Float64[Tensor, "*shape"]
    """The highest corner."""

    def __init__(self, low: Numbers, high: Numbers) -> None:
        corners = [torch.atleast_1d(tensor_of(value, name)) for value, name in ((low, "low"), (high, "high"))]
        if corners[0].shape != corners[1].shape:
            raise ValueError(f"low and high must have one shape, got {shown(low)} and {shown(high)}")
        if not bool((corners[0] < corners[1]).all()):
            raise ValueError(f"low must be below high in every entry, got {shown(low)} and {shown(high)}")
        object.__setattr__(self, "low", corners[0])
        object.__setattr__(self, "high", corners[1])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.low.shape)

    @property
    def description(self) -> str:
        return f"the uniform law {sized(self.shape)} between {listed(self.low)} and {listed(self.high)}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        share = torch.rand(count, *self.shape, dtype=torch.float64, generator=generator)
        return (self.low + (self.high - self.low) * share).float()

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """One over the volume inside, 0 outside."""
        points = x.double()
        inside = ((points >= self.low) & (points <= self.high)).flatten(1).all(dim=1)
        return torch.where(inside, -(self.high - self.low).log().sum(), -math.inf)
