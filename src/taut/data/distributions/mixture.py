"""Mixtures of distributions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, shown, weights_of


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Mixture(Distribution):
    """The law that draws a component in proportion to its weight, and then a sample of it.

    A finite component is drawn from without replacement within a call, and must hold as many samples as fall to it.

    Args:
        components: Distributions of one shape.
        weights: One for each, at least 0, in any unit; equal ones when None.

    Raises:
        ValueError: No component, components of different shapes, weights that do not fit.
        TypeError: A component that is no distribution.

    Example:
        >>> from taut.data.distributions import Gaussian, Points
        >>> Mixture([Gaussian(0.0), Points([[5.0]])], weights=[3, 1]).description
        '0.75 of the normal law in 1 dimension of mean 0 and standard deviation 1 + 0.25 of the point 5 in 1 dimension'
    """

    components: tuple[Distribution, ...]
    """The distributions that are mixed."""
    weights: Float64[Tensor, " components"]
    """Their weights, which sum to 1."""

    def __init__(self, components: Sequence[Any], *, weights: Numbers | None = None) -> None:
        if not isinstance(components, Sequence) or not len(components):
            raise ValueError(f"components must be a list of at least one distribution, got {shown(components)}")
        for component in components:
            if not isinstance(component, Distribution):
                raise TypeError(f"a component must be a distribution, got {shown(component)}")
        shapes = {component.shape: None for component in components}
        if len(shapes) > 1:
            raise ValueError(f"components must have one shape, got {', '.join(map(str, shapes))}")
        object.__setattr__(self, "components", tuple(components))
        object.__setattr__(self, "weights", weights_of(weights, len(components), "components"))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.components[0].shape

    @property
    def description(self) -> str:
        pairs = zip(self.weights.tolist(), self.components, strict=True)
        return " + ".join(f"{weight:.4g} of {component.description}" for weight, component in pairs)

    @property
    def size(self) -> int | None:
        """As many as the smallest finite component has: so many can be drawn, however they fall to the components."""
        drawn = [each for weight, each in zip(self.weights.tolist(), self.components, strict=True) if weight > 0.0]
        return min((each.size for each in drawn if each.size is not None), default=None)

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        samples = torch.empty(count, *self.shape)
        for index, component in enumerate(self.components):
            rows = (chosen == index).nonzero().flatten()
            if len(rows):
                samples[rows] = component.sample(len(rows), generator)
        return samples

    def log_density(self, x: Tensor) -> Float64[Tensor, " count"] | None:
        """Of the mixture, where that of every component is known."""
        drawn = [(weight, part) for weight, part in zip(self.weights, self.components, strict=True) if weight > 0]
        found = [(weight, part.log_density(x)) for weight, part in drawn]
        values = [weight.log() + value for weight, value in found if value is not None]
        return torch.stack(values).logsumexp(dim=0) if len(values) == len(drawn) else None

    def parts(self) -> tuple[Distribution, Distribution]:
        seen, held_out = zip(*(component.parts() for component in self.components), strict=True)
        return Mixture(seen, weights=self.weights), Mixture(held_out, weights=self.weights)
