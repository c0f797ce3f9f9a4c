"""Training of all cells, one after the other: in each, every network is updated in every step, on points of its own."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.tasks.fit_1d.config import Config
from taut.tasks.fit_1d.functions import INTERVAL, target
from taut.tasks.fit_1d.kinds import seeded_network
from taut.tasks.fit_1d.stack import Stack
from taut.training.ema import averaged_copy, follow
from taut.training.learner import Learner
from taut.training.optimizers import build_optimizer, learning_rate, set_rates
from taut.training.seeding import stream

_HELD_OUT = 500
"""Points of a validation."""
_LOOKS = 20
"""Validations in each cell, at least, where there are so many epochs."""


def cell_name(activation: str, linear: str) -> str:
    """What a cell is called in files.

    >>> cell_name("max-min", "bjorck")
    'max-min/bjorck'
    """
    return f"{activation}/{linear}"


def stack_of(config: Config, activation: str, linear: str) -> Stack:
    """The untrained networks of a cell."""
    networks = config.networks
    return Stack([seeded_network(config.seed, k, activation, linear, **networks.sizes) for k in range(networks.models)])


def even_points(count: int) -> Tensor:
    """The middles of `count` equal parts of the interval, (count,), float64."""
    low, high = INTERVAL
    return low + (high - low) * (torch.arange(count, dtype=torch.float64) + 0.5) / count


class FitLearner(Learner):
    """Step s belongs to cell s // steps_per_cell. Losses are summed over the networks, so that each is trained as it
    would be alone, and their mean is logged."""

    def __init__(self, config: Config, cells: nn.ModuleDict, fabric: Fabric) -> None:
        self.config, self.fabric, self.model, self.names = config, fabric, cells, list(cells)
        self.optimizers = {name: build_optimizer(cell, config.optimizer) for name, cell in cells.items()}
        self._set_up = {name: fabric.setup(cells[name], optimizer) for name, optimizer in self.optimizers.items()}
        averaged = config.optimizer.averages
        self.averages = {name: averaged_copy(cell) for name, cell in cells.items()} if averaged else {}
        function = target(config.target.function, seed=config.target.function_seed)
        dtype = next(cells.parameters()).dtype
        self._points, self._held_out = (
            tuple(values.to(fabric.device, dtype) for values in (x, function(x)))
            for x in map(even_points, (config.target.points, _HELD_OUT))
        )
        epochs, size = config.optimizer.epochs, config.target.batch_size
        self.data = f"{config.target.function}/{config.target.function_seed}/{config.target.points}"
        self.batch_size = size * config.networks.models
        self.steps_per_epoch = config.target.points // size
        self.steps_per_cell = self.steps_per_epoch * epochs
        self.steps = self.steps_per_cell * len(self.names)
        self.validate_every = max(
            every for every in range(1, epochs + 1) if epochs % every == 0 and _few(every, epochs)
        )
        self._order: tuple[int, Tensor] | None = None

    def evaluated(self, name: str) -> Stack:
        """The networks of a cell, or the averages of their parameters over time where they are kept."""
        found = self.averages[name] if self.averages else self.model.get_submodule(name)
        assert isinstance(found, Stack)
        return found

    def update(self, step: int) -> Mapping[str, Tensor]:
        name, local = self._cell(step)
        optimizer, (network, updater) = self.optimizers[name], self._set_up[name]
        set_rates(optimizer, self.rate(step))
        x, y = self._batch(step)
        errors = (network(x.unsqueeze(-1)).squeeze(-1) - y).square().mean(1)
        stack = self.model.get_submodule(name)
        assert isinstance(stack, Stack)
        extra = stack.penalties(self.config.optimizer)
        loss = errors if extra is None else errors + extra
        self.fabric.backward(loss.sum())
        updater.step()
        updater.zero_grad(set_to_none=True)
        if self.averages:
            follow(self.averages[name], stack, self.config.optimizer, step=local, total=self.steps_per_cell)
        return {"loss": loss.detach().mean(), "mse": errors.detach().mean()}

    def rate(self, step: int) -> float:
        return learning_rate(step % self.steps_per_cell, self.steps_per_cell, self.config.optimizer)

    @torch.no_grad()
    def validate(self, step: int) -> dict[str, Any]:
        """Median and mean error of the cell that was trained last, at points between those of training."""
        name, _ = self._cell(step - 1)
        x, y = self._held_out
        models = self.config.networks.models
        with self.fabric.autocast():
            values = self.evaluated(name)(x.expand(models, -1).unsqueeze(-1)).squeeze(-1)
        errors = (values - y).square().mean(1).double()
        return {"cell": name, "loss": float(errors.mean()), "median": float(errors.quantile(0.5))}

    def _cell(self, step: int) -> tuple[str, int]:
        index, local = divmod(step, self.steps_per_cell)
        return self.names[index], local

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Points and values, (models, batch): each network goes through all points in its own random order."""
        epoch, place = divmod(step % self.steps_per_cell, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            models, points = self.config.networks.models, self.config.target.points
            rows = [
                torch.randperm(points, generator=stream(self.config.seed, "order", k, epoch)) for k in range(models)
            ]
            self._order = epoch, torch.stack(rows).to(self.fabric.device)
        size = self.config.target.batch_size
        index = self._order[1][:, place * size : (place + 1) * size]
        x, y = self._points
        return x[index], y[index]


def _few(every: int, epochs: int) -> bool:
    return every == 1 or epochs // every >= _LOOKS
