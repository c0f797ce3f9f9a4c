"""What every distribution has: the shape of a sample, a sampler, and what of it may be seen in training."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float32, Float64, Shaped
from torch import Tensor


class Distribution(ABC):
    """A probability law on tensors of one shape, that can be sampled; distances are l2 over all entries of a sample."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample; it has at least one dimension."""

    @property
    @abstractmethod
    def description(self) -> str:
        """One line for reports."""

    @property
    def size(self) -> int | None:
        """How many samples there are; None for a law that can be drawn from without end."""
        return None

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        """`count` samples on the CPU: independent, or without replacement where there are only `size` of them.

        Raises ValueError for a count below 1, and UserError for one that is larger than `size`.
        """

    def log_density(self, x: Shaped[Tensor, "count *shape"]) -> Float64[Tensor, " count"] | None:
        """Logarithm of the density at each row of `x`, in float64; None where it is not known, or there is none."""
        del x

    def parts(self) -> "tuple[Distribution, Distribution]":
        """What training may see, and what is held out: no sample is in both. A law without end is its own two parts."""
        return self, self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.description})"


def check_count(count: int) -> None:
    """Raise ValueError unless at least one sample is asked for."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
