r"""What is proven about a plug-and-play iteration before it runs, and what happens where too little is."""

import math
import warnings
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A theorem about the map T that is iterated, or the reason why none applies."""

    algorithm: str
    """The iteration."""
    converges: bool
    """Whether it is proven to converge to a fixed point of T, if T has one."""
    monotone: bool
    """Whether the fixed-point residual |T(z) - z| is proven never to grow along the iteration."""
    factor: float | None
    """Proven contraction factor of T, where there is one: the fixed point exists, is unique, and the distance to it
    shrinks by this factor each time."""
    norm: str
    """The norm of the residual."""
    theorem: str
    """The theorem that holds, or the one that is nearest."""
    source: str
    """Where it is proven."""
    reason: str | None
    """Why convergence is not proven: the number that fails. None where it is."""

    def __str__(self) -> str:
        if self.reason is not None:
            return f"{self.algorithm}: {self.reason} ({self.source})"
        return f"{self.algorithm}: {self.theorem} ({self.source})"


class ConvergenceWarning(UserWarning):
    """An iteration runs although no theorem says that it converges."""


def enforce(condition: Condition, check: str) -> Condition:
    """Refuse ("refuse", a ValueError) or warn ("warn") where convergence is not proven; the condition itself else."""
    if check not in ("refuse", "warn"):
        raise ValueError(f"check must be 'refuse' or 'warn', got {check!r}")
    if not condition.converges:
        if check == "refuse":
            raise ValueError(str(condition))
        warnings.warn(str(condition), ConvergenceWarning, stacklevel=3)
    return condition


def product(*factors: float | Fraction) -> Fraction | float:
    """The exact product of numbers >= 0, infinity where one is infinite."""
    if any(not isinstance(factor, Fraction) and math.isinf(factor) for factor in factors):
        return math.inf
    total = Fraction(1)
    for factor in factors:
        total *= Fraction(factor)
    return total


def positive(name: str, value: float) -> float:
    """The value. ValueError unless it is positive and finite."""
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return value


def upwards(value: Fraction | float) -> float:
    """The smallest float64 that is not below, for what is shown."""
    nearest = float(value)
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)
