"""What finished fits leave behind: errors and proven constants of every network, curves of the median ones."""

import copy
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut.tasks.fit_1d.config import Config
from taut.tasks.fit_1d.functions import target
from taut.tasks.fit_1d.kinds import network
from taut.tasks.fit_1d.learner import cell_name, even_points
from taut.tasks.fit_1d.stack import Stack
from taut.tasks.provenance import provenance

_MEASURED = 10_000
_EVERY = 10
"""Of the points measured, one in so many is drawn."""


@dataclass(frozen=True, kw_only=True)
class Fits:
    """All networks of one cell, in float64."""

    activation: str
    linear: str
    errors: list[float]
    """Mean squared error of each over the interval."""
    bounds: list[float]
    """Proven Lipschitz constant of each, l2."""
    median: nn.Module
    """The network whose error is the (lower) median."""
    values: Tensor
    """Of that network at the points where errors are measured."""

    @property
    def slopes(self) -> tuple[float, float]:
        """Smallest and largest slope of the median network between neighbouring points."""
        slopes = self.values.diff() / even_points(_MEASURED).diff()
        return float(slopes.min()), float(slopes.max())

    @property
    def median_model(self) -> int:
        """Its number."""
        return median_index(self.errors)


def median_index(errors: Sequence[float]) -> int:
    """Where the median stands, the lower of two.

    >>> median_index([3.0, 1.0, 2.0, 4.0])
    2
    """
    return errors.index(statistics.median_low(errors))


@torch.no_grad()
def measured(config: Config, name: str, stack: Stack) -> Fits:
    """Measure the error of all networks of a cell at once, and prove the constant of each, all in float64.

    The constraints are computed in float64 too, from the weights that were trained.
    """
    activation, linear = name.split("/")
    stack = copy.deepcopy(stack).double()
    x = even_points(_MEASURED)
    y = target(config.target.function, seed=config.target.function_seed)(x)
    values = stack(x[:, None].expand(stack.models, -1, 1)).squeeze(-1)
    errors = (values - y).square().mean(1).tolist()
    blank = network(activation, linear, **config.networks.sizes).double()
    bounds = [certify.lipschitz_bound(stack.model(k, blank), norm="l2", input_shape=(1,)) for k in range(stack.models)]
    middle = median_index(errors)
    return Fits(
        activation=activation,
        linear=linear,
        errors=errors,
        bounds=bounds,
        median=stack.model(middle, blank),
        values=values[middle].clone(),
    )


def learned_activations(fits: Mapping[str, Fits]) -> nn.ModuleDict:
    """The last activation of each median network, by its cell: those of the first kind of linear layer."""
    shown: dict[str, Fits] = {}
    for found in fits.values():
        shown.setdefault(found.activation, found)
    return nn.ModuleDict(
        {f"{each.activation} ({each.linear})": list(each.median.children())[-2] for each in shown.values()}
    )


def stacked_weights(stacks: Mapping[str, Stack]) -> dict[str, Tensor]:
    """The tensors of model.safetensors: for each cell those of a network, with a first dimension of models."""
    return {
        f"{name}.{key}": tensor for name, stack in stacks.items() for key, tensor in stack.networks.state_dict().items()
    }


def evaluation_tensors(config: Config, fits: Mapping[str, Fits]) -> dict[str, Tensor]:
    """The tensors of evaluation.safetensors: the target, and the curve of each median network."""
    x = even_points(_MEASURED)[::_EVERY]
    y = target(config.target.function, seed=config.target.function_seed)(x)
    tensors = {"grid": x.contiguous(), "target": y}
    for name, found in fits.items():
        tensors[f"median/{name}"] = found.values[::_EVERY].contiguous()
    return tensors


def result(
    config: Config,
    fits: Mapping[str, Fits],
    *,
    recipe: str,
    command: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of result.json."""
    y = target(config.target.function, seed=config.target.function_seed)(even_points(_MEASURED))
    return {
        "task": config.task,
        "recipe": recipe,
        "function": config.target.function,
        "function_seed": config.target.function_seed,
        "points": config.target.points,
        "models": config.networks.models,
        "steps": config.optimizer.epochs * (config.target.points // config.target.batch_size),
        "norm": "l2",
        "variance": float(y.square().mean()),
        "cells": [_cell(found) for found in fits.values()],
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }


def _cell(found: Fits) -> dict[str, Any]:
    errors = torch.tensor(found.errors, dtype=torch.float64)
    return {
        "activation": found.activation,
        "linear": found.linear,
        "name": cell_name(found.activation, found.linear),
        "errors": found.errors,
        "median": float(errors.quantile(0.5)),
        "mean": float(errors.mean()),
        "quartiles": [float(errors.quantile(share)) for share in (0.25, 0.75)],
        "median_model": found.median_model,
        "best_model": found.errors.index(min(found.errors)),
        "lipschitz_bounds": found.bounds,
        "slopes": list(found.slopes),
        "parameters": sum(parameter.numel() for parameter in found.median.parameters()),
    }
