"""Pinwheels, and normal laws on a ring."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.curves import whole
from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.gaussian import Gaussian
from taut.data.distributions.mixture import Mixture
from taut.data.distributions.numbers import Numbers, positive, shown, tensor_of


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Pinwheel(Distribution):
    """Normal laws in a ring, wound up: each point at radius r is turned about 0 by the angle `twist` r.

    Turning by an angle that depends on the radius alone keeps areas, so the density is that of the normal laws at the
    point turned back.

    Args:
        arms: How many, at least 1.
        radius: Of the arms' centres about 0.
        long: Standard deviation along an arm.
        wide: Standard deviation across it.
        twist: Angle for each unit of the radius.

    Raises:
        ValueError: Numbers that are not allowed.

    Example:
        >>> Pinwheel(5).description
        'a pinwheel of 5 arms about 0, of standard deviations 0.6 and 0.15, twisted by 0.8 a unit'
    """

    arms: int
    radius: float
    long: float
    wide: float
    twist: float

    def __init__(
        self,
        arms: Any = 5,
        *,
        radius: Numbers = 2.0,
        long: Numbers = 0.6,
        wide: Numbers = 0.15,
        twist: Numbers = 0.8,
    ) -> None:
        angle = tensor_of(twist, "twist")
        if angle.ndim:
            raise ValueError(f"twist must be one number, got {shown(twist)}")
        object.__setattr__(self, "arms", whole(arms, "arms"))
        for name, value in (("radius", radius), ("long", long), ("wide", wide)):
            object.__setattr__(self, name, positive(value, name))
        object.__setattr__(self, "twist", float(angle))

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def description(self) -> str:
        return (
            f"a pinwheel of {self.arms} arm{'s' if self.arms > 1 else ''} about 0, of standard deviations "
            f"{self.long:g} and {self.wide:g}, twisted by {self.twist:g} a unit"
        )

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        arm = torch.randint(self.arms, (count,), generator=generator)
        normal = torch.randn(count, 2, dtype=torch.float64, generator=generator)
        points = torch.stack([self.radius + self.long * normal[:, 0], self.wide * normal[:, 1]], dim=1)
        return _turned(points, self._angle(arm) + self.twist * points.norm(dim=1)).float()

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """The mean over the arms of a normal density at the point turned back."""
        points = x.double()
        back = -self.twist * points.norm(dim=1)
        values = []
        for arm in range(self.arms):
            straight = _turned(points, back - float(self._angle(torch.tensor(arm))))
            along, across = (straight[:, 0] - self.radius) / self.long, straight[:, 1] / self.wide
            values.append(-(along.square() + across.square()) / 2)
        scale = math.log(2 * math.pi * self.long * self.wide * self.arms)
        return torch.stack(values).logsumexp(dim=0) - scale

    def _angle(self, arm: Tensor) -> Tensor:
        return 2 * math.pi * arm.double() / self.arms


def ring(count: Any = 8, *, radius: Numbers = 2.0, std: Numbers = 0.2) -> Mixture:
    """Equal normal laws, evenly spaced on a circle in the plane about 0: eight Gaussians, as a mixture.

    Args:
        count: How many, at least 1.
        radius: Of the circle.
        std: Standard deviation of each.

    Example:
        >>> ring(8).shape
        (2,)
    """
    number, size = whole(count, "count"), positive(radius, "radius")
    angles = [2 * math.pi * index / number for index in range(number)]
    return Mixture([Gaussian([size * math.cos(angle), size * math.sin(angle)], std=std) for angle in angles])


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    x, y = points[:, 0], points[:, 1]
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=1)
