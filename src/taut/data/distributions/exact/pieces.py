"""The pieces that laws are mixtures of, as exact float64 numbers over the entries of a sample in a row."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


class Piece(ABC):
    """A law with a mean and finite second moments, closed under x -> k x + b."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """Its mean, a vector."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """The mean squared distance (l2) from the mean."""

    @property
    @abstractmethod
    def features(self) -> Tensor:
        """Numbers, in units of length, that tell it from the other laws of its kind."""

    @abstractmethod
    def mapped(self, factor: float, shift: Tensor) -> "Piece":
        """The law of factor * X + shift, for a factor of either sign that is not 0."""

    @property
    def kind(self) -> tuple[object, ...]:
        """Laws of different kinds are never compared."""
        return type(self), tuple(self.features.shape)


@final
@dataclass(frozen=True, eq=False)
class Atom(Piece):
    """All mass at one point."""

    position: Tensor

    @property
    def mean(self) -> Tensor:
        return self.position

    @property
    def variance(self) -> float:
        return 0.0

    @property
    def features(self) -> Tensor:
        return self.position

    def mapped(self, factor: float, shift: Tensor) -> "Atom":
        return Atom(factor * self.position + shift)


@final
@dataclass(frozen=True, eq=False)
class Sphere(Piece):
    """The uniform law on a sphere in the first `dimension` coordinates, about a point of the whole space."""

    centre: Tensor
    radius: float
    dimension: int

    @property
    def mean(self) -> Tensor:
        return self.centre

    @property
    def variance(self) -> float:
        return self.radius**2

    @property
    def features(self) -> Tensor:
        return torch.cat([self.centre, self.centre.new_tensor([self.radius])])

    @property
    def kind(self) -> tuple[object, ...]:
        return *super().kind, self.dimension

    def mapped(self, factor: float, shift: Tensor) -> "Sphere":
        return Sphere(factor * self.centre + shift, abs(factor) * self.radius, self.dimension)


@final
@dataclass(frozen=True, eq=False)
class Normal(Piece):
    """A normal law; `factor` holds standard deviations, or the lower Cholesky factor of the covariance."""

    centre: Tensor
    factor: Tensor

    @property
    def mean(self) -> Tensor:
        return self.centre

    @property
    def variance(self) -> float:
        return float(self.factor.square().sum())

    @property
    def features(self) -> Tensor:
        return torch.cat([self.centre, self.factor.flatten()])

    def mapped(self, factor: float, shift: Tensor) -> "Normal":
        return Normal(factor * self.centre + shift, abs(factor) * self.factor)


@final
@dataclass(frozen=True, eq=False)
class Box(Piece):
    """The uniform law between two corners."""

    low: Tensor
    high: Tensor

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> float:
        return float((self.high - self.low).square().sum()) / 12

    @property
    def features(self) -> Tensor:
        return torch.cat([self.low, self.high])

    def mapped(self, factor: float, shift: Tensor) -> "Box":
        corners = factor * self.low + shift, factor * self.high + shift
        return Box(*(corners if factor > 0 else corners[::-1]))
