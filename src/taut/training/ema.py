"""Averages of parameters over time, exponential or with equal weights, each a second model with other values."""

import copy

import torch
from torch import Tensor, nn

from taut.functional.batch_statistics import keeps_statistics
from taut.training.optimizers import OptimizerConfig


def averaged_copy(model: nn.Module) -> nn.Module:
    """A deep copy of `model` without gradients, to be fed to `update_average`."""
    return copy.deepcopy(model).requires_grad_(False)


def update_average(average: nn.Module, model: nn.Module, *, decay: float, step: int) -> None:
    """Move the parameters of `average` towards those of `model` after update `step` (from 0), and running statistics
    with them, whose averages are those of the averaged network but for its curvature; other buffers are copied.

    The decay grows as min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten. A
    constrained layer computes its weight from its parameters, so the averaged model satisfies the same constraint.
    """
    _move(average, model, 1 - min(decay, (1 + step) / (10 + step)))


def update_equal_average(average: nn.Module, model: nn.Module, *, start: int, step: int) -> None:
    """Make the parameters of `average` the mean of those of `model` after the updates from `start` to `step`.

    Before `start` they are those of `model`. Buffers are treated, and constraints kept, as above.
    """
    _move(average, model, 1 / max(1, step - start + 1))


def follow(average: nn.Module, model: nn.Module, config: OptimizerConfig, *, step: int, total: int) -> None:
    """Let `average` follow `model` after update `step` of `total`, as `config` says."""
    if config.ema:
        update_average(average, model, decay=config.ema, step=step)
    else:
        update_equal_average(average, model, start=round((1 - config.swa) * total), step=step)


@torch.no_grad()
def _move(average: nn.Module, model: nn.Module, weight: float) -> None:
    torch._foreach_lerp_(_moving(average), _moving(model), weight)
    moved = {id(tensor) for tensor in _moving(average)}
    for mine, current in zip(average.buffers(), model.buffers(), strict=True):
        if id(mine) not in moved:
            mine.copy_(current)


def _moving(model: nn.Module) -> list[Tensor]:
    statistics = [
        buffer
        for module in filter(keeps_statistics, model.modules())
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    return [*model.parameters(), *statistics]
