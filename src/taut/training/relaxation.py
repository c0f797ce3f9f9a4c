"""The exponent of layers of distances over a training run: a pure function of the step, so nothing of it is saved."""

import copy
import math
from dataclasses import dataclass

from torch import nn

from taut.errors import UsageError, require
from taut.optim import relax_


@dataclass(frozen=True, kw_only=True)
class RelaxationConfig:
    """How layers of l-infinity distances are relaxed in training; what is evaluated is never relaxed."""

    p_start: float = 0.0
    """Exponent at the beginning, for networks of distances; 0 trains at infinity all along, as other networks do."""
    p_end: float = 1000.0
    """Exponent to which it grows, exponentially."""
    p_hold: float = 0.0
    """Fraction of the run during which it stays at the beginning."""
    p_exact: float = 0.05
    """Fraction of the run, at its end, at infinity: the network that is evaluated."""

    def __post_init__(self) -> None:
        if self.p_start:
            fine = 2 <= self.p_start <= self.p_end < math.inf
            require(fine, f"p-start and p-end must be 2 <= start <= end < infinity, got {self.p_start}, {self.p_end}")
        shares = self.p_hold >= 0 and self.p_exact >= 0 and self.p_hold + self.p_exact <= 1
        require(
            shares,
            f"p-hold and p-exact are fractions of the run, at most 1 together, got {self.p_hold:g}, {self.p_exact:g}",
        )


def exponent(step: int, total: int, config: RelaxationConfig) -> float:
    """p of update `step` (from 0) of `total`: start, then start (end / start)^share, then infinity.

    Source: Zhang, Cai, Lu, He and Wang (2021).

    Example:
        >>> config = RelaxationConfig(p_start=10.0, p_end=1000.0, p_hold=0.2, p_exact=0.2)
        >>> [round(exponent(step, 10, config), 2) for step in (0, 2, 5, 7, 8, 9)]
        [10.0, 10.0, 100.0, 464.16, inf, inf]
    """
    exact = total - round(config.p_exact * total)
    if not config.p_start or step >= exact:
        return math.inf
    hold = config.p_hold * total
    share = max(0.0, step - hold) / max(1.0, exact - hold)
    return config.p_start * (config.p_end / config.p_start) ** share


def relax_for(model: nn.Module, step: int, total: int, config: RelaxationConfig) -> None:
    """Give the layers of `model` the exponent of update `step`; nothing where the config relaxes nothing."""
    if config.p_start:
        relax_(model, exponent(step, total, config))


def check_relaxation(model: nn.Module, config: RelaxationConfig) -> None:
    """Raise UsageError where the config relaxes a network that has no layer of distances."""
    if config.p_start:
        try:
            relax_(model, math.inf)
        except TypeError as error:
            raise UsageError(f"p-start is for networks of distances: {error}") from error


def exact(model: nn.Module, config: RelaxationConfig) -> nn.Module:
    """`model` at infinity: a copy where it may be relaxed, which is to go on training."""
    return relax_(copy.deepcopy(model), math.inf) if config.p_start else model
