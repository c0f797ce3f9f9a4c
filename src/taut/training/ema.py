"""Exponential moving average of parameters, kept as a second model of which only the values differ."""

import copy

import torch
from torch import nn


def averaged_copy(model: nn.Module) -> nn.Module:
    """A deep copy of `model` without gradients, to be fed to `update_average`."""
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, decay: float, step: int) -> None:
    """Move the parameters of `average` towards those of `model` after update `step` (from 0); buffers are copied.

    The decay grows as min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten. A
    constrained layer computes its weight from its parameters, so the averaged model satisfies the same constraint.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), weight)
    for mine, current in zip(average.buffers(), model.buffers(), strict=True):
        mine.copy_(current)
