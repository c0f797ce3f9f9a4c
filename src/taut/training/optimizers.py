"""Optimizers and learning-rate schedules by name. The rate is a pure function of the step, so nothing of it is
saved."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from taut import nn as tnn
from taut.errors import require
from taut.optim import AggMo, LookaheadHook, parameter_groups, set_rates
from taut.optim.groups import fused

__all__ = ["OptimizerConfig", "Schedule", "build_optimizer", "learning_rate", "set_rates"]

Schedule = Literal["constant", "cosine", "step", "linear", "one-cycle", "exponential", "piecewise"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How the parameters are updated, and how often."""

    absent: ClassVar[Mapping[str, Any]] = {"coefficient_rate": 1.0, "scale_rate": 1.0}
    """What files from before these options existed were trained with, so that they replay and resume as they were, but
    for a weight decay of activations."""

    renamed: ClassVar[Mapping[str, str]] = {"decay": "schedule_factor"}
    """What files from before call these options."""

    epochs: int = 20
    """Passes over the training split."""
    optimizer: Literal["adam", "adamw", "sgd", "nesterov", "aggmo"] = "adam"
    """Update rule; sgd and nesterov use --momentum, aggmo --aggmo-betas."""
    lr: float = 1e-3
    """Peak learning rate."""
    schedule: Schedule = "cosine"
    """Learning rate over the run after warm-up: constant; cosine or linear to 0; step (times --schedule-factor at
    each of --milestones); one-cycle (0 to lr at 2/5, lr/20 at 4/5, 0 at the end; no other warm-up); exponential (falls
    smoothly by --schedule-factor in all); piecewise (constant between the fractions of --pieces)."""
    warmup: float = 0.02
    """Fraction of the run during which the rate rises linearly from 0."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Fractions of the run at which the step schedule multiplies the rate by --schedule-factor."""
    schedule_factor: float = 0.1
    """Factor of the step schedule, at each milestone, and of the exponential one, over the whole run."""
    pieces: tuple[tuple[float, float], ...] = ((0.5, 0.1), (0.75, 0.01))
    """Of the piecewise schedule: pairs of a fraction of the run and the factor of lr from there on."""
    momentum: float = 0.9
    """Momentum of sgd and nesterov."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the two moments of adam and adamw."""
    aggmo_betas: tuple[float, ...] = (0.0, 0.9, 0.99)
    """The momenta that aggmo averages."""
    weight_decay: float = 0.0
    """Weight decay (decoupled for adamw), of weights and biases; the parameters of activations are not decayed."""
    coefficient_rate: float = 1 / 40
    """Learning rate of the coefficients of learned splines, as a factor of --lr; published runs have 1/40."""
    scale_rate: float = 1 / 4
    """Learning rate of the scales of learned splines, as a factor of --lr; published runs have 1/4."""
    threshold_rate: float = 1.0
    """Learning rate of the thresholds of N-activations, as a factor of --lr: they are in the units of what they see."""
    tv2: float = 0.0
    """Weight in the loss of the splines' second-order total variation, the sum of all changes of slope: a larger one
    leaves fewer knots in use; published runs have 1e-7."""
    ema: float = 0.0
    """Decay of an exponential moving average of the parameters, which is then what is evaluated; 0 is off."""
    swa: float = 0.0
    """Share of the run, at its end, over which the parameters are averaged with equal weights (stochastic weight
    averaging); the average is then what is evaluated; 0 is off."""
    lookahead: int = 0
    """After every so many updates go back half of the way (lookahead); 0 is off."""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}")
        require(math.isfinite(self.lr) and self.lr > 0, f"lr must be a positive number, got {self.lr:g}")
        require(0 <= self.warmup < 1, f"warmup is a fraction of the run in [0, 1), got {self.warmup:g}")
        require(0 <= self.ema < 1, f"ema must be in [0, 1), got {self.ema:g}")
        require(0 <= self.swa <= 1, f"swa is a fraction of the run in [0, 1], got {self.swa:g}")
        require(not (self.ema and self.swa), "give one of ema and swa, not both")
        require(self.lookahead >= 0, f"lookahead must not be negative, got {self.lookahead}")
        require(all(0 < m < 1 for m in self.milestones), f"milestones are fractions in (0, 1), got {self.milestones}")
        fine = 0 < self.schedule_factor < math.inf
        require(fine, f"schedule factor must be a positive number, got {self.schedule_factor:g}")
        require(0 <= self.momentum < 1, f"momentum must be in [0, 1), got {self.momentum:g}")
        require(all(0 <= beta < 1 for beta in self.betas), f"betas must be in [0, 1), got {self.betas}")
        require(
            bool(self.aggmo_betas) and all(0 <= beta < 1 for beta in self.aggmo_betas),
            f"aggmo betas must be one or more numbers in [0, 1), got {self.aggmo_betas}",
        )
        _check_pieces(self.pieces)
        fine = 0 <= self.weight_decay < math.inf
        require(fine, f"weight decay must be a number that is not negative, got {self.weight_decay:g}")
        for name in ("coefficient_rate", "scale_rate", "threshold_rate"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"{name.replace('_', ' ')} must be a positive number, got {value:g}")
        require(0 <= self.tv2 < math.inf, f"tv2 must be a number that is not negative, got {self.tv2:g}")

    @property
    def averages(self) -> bool:
        """Whether an average of the parameters is what is evaluated."""
        return bool(self.ema or self.swa)


def _check_pieces(pieces: tuple[tuple[float, float], ...]) -> None:
    places, factors = [place for place, _ in pieces], [factor for _, factor in pieces]
    rising = all(before < after for before, after in itertools.pairwise(places))
    fine = bool(pieces) and rising and all(0 <= place < 1 for place in places)
    require(fine, f"pieces need fractions of the run in [0, 1) that rise, got {pieces}")
    require(
        all(0 <= factor < math.inf for factor in factors), f"pieces need factors that are not negative, got {pieces}"
    )


def learning_rate(step: int, total: int, config: OptimizerConfig) -> float:
    """The rate of update `step` (from 0) of `total`.

    Example:
        >>> config = OptimizerConfig(lr=1.0, schedule="linear", warmup=0.0)
        >>> [learning_rate(step, 4, config) for step in range(4)]
        [1.0, 0.75, 0.5, 0.25]
    """
    if config.schedule == "one-cycle":
        return config.lr * _one_cycle((step + 1) / (total + 1))
    warm = round(config.warmup * total)
    if step < warm:
        return config.lr * (step + 1) / (warm + 1)
    done = (step - warm) / max(1, total - warm)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "linear":
        return config.lr * (1 - done)
    if config.schedule == "step":
        return config.lr * config.schedule_factor ** sum(step >= milestone * total for milestone in config.milestones)
    if config.schedule == "exponential":
        return config.lr * config.schedule_factor**done
    if config.schedule == "piecewise":
        passed = [factor for place, factor in config.pieces if step >= place * total]
        return config.lr * (passed[-1] if passed else 1.0)
    return config.lr


def _one_cycle(done: float) -> float:
    """Piecewise linear through (0, 0), (2/5, 1), (4/5, 1/20), (1, 0) (Araujo et al. 2023)."""
    if done < 0.4:
        return done / 0.4
    if done < 0.8:
        return 1 - (done - 0.4) / 0.4 * 0.95
    return 0.05 * (1 - done) / 0.2


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that `config` names, over all parameters of `model`, those with the same rate and decay a group."""
    groups = parameter_groups(
        model,
        lr=config.lr,
        coefficient_rate=config.coefficient_rate,
        scale_rate=config.scale_rate,
        threshold_rate=config.threshold_rate,
        weight_decay=config.weight_decay,
        undecayed=_of_activations(model),
    )
    optimizer = _rule(groups, config)
    if config.lookahead:
        LookaheadHook(optimizer, every=config.lookahead)
    return optimizer


def _rule(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, config.lr, betas=config.betas, fused=fused(groups))
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, config.lr, betas=config.betas, fused=fused(groups))
    if config.optimizer == "aggmo":
        return AggMo(groups, config.lr, betas=config.aggmo_betas)
    return torch.optim.SGD(
        groups,
        config.lr,
        momentum=config.momentum,
        nesterov=config.optimizer == "nesterov",
    )


def _of_activations(model: nn.Module) -> list[nn.Parameter]:
    kinds = (*tnn.activations().values(), nn.PReLU)
    return [parameter for module in model.modules() if isinstance(module, kinds) for parameter in module.parameters()]
