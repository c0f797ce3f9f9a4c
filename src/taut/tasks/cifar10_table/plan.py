"""How much training fits into the time of each row: measured once, and written down, so that all follows from it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from taut.data import Dataset
from taut.errors import UserError
from taut.files import read_json, write_json
from taut.tasks.cifar10_table.config import Config
from taut.tasks.classification import Config as CellConfig
from taut.tasks.classification.speed import update_seconds
from taut.training.progress import progress
from taut.training.sampling import steps_per_epoch
from taut.training.serialise import from_plain, to_plain

_WARM = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is trained with one layer."""

    convolution: str
    update_seconds: float
    """Measured."""
    epochs: int
    """Passes over the pictures."""
    per_class: int
    """Pictures of each class; 0 is all."""
    parameters: int
    """That are trained."""

    def folder(self, table: Path) -> Path:
        """Where it is trained, a run folder like any other."""
        return table / "cells" / self.convolution


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of the table."""

    rows: tuple[Row, ...]


def cell_config(config: Config, convolution: str, *, epochs: int = 1, per_class: int = 0) -> CellConfig:
    """The run with one layer: `epochs` passes over `per_class` pictures of each class (0: all)."""
    return CellConfig(
        seed=config.seed,
        data=replace(config.data, per_class=per_class),
        model=replace(config.model, convolution=convolution),
        loss=config.loss,
        regularisation=config.regularisation,
        optimizer=replace(config.optimizer, epochs=epochs),
        updates=config.updates,
        engine=config.engine,
        evaluation=replace(config.evaluation, validate_every=epochs),
    )


def planned(config: Config, dataset: Dataset, build: Callable[[CellConfig], nn.Module], path: Path) -> Plan:
    """The plan in the file `path`, or a new one, which is written there: each network that `build` makes is timed on
    `dataset`. UserError where the file is not a plan of this table."""
    if not path.is_file():
        names = config.layers.convolutions
        with progress("measuring", len(names)) as reporter:
            rows = []
            for name in names:
                rows.append(_measured(config, dataset, build, name))
                reporter.advance(len(rows))
                reporter.line(f"{name}: {rows[-1].update_seconds:.3g} s for an update")
        write_json(path, to_plain(Plan(rows=tuple(rows))))
    plan = from_plain(Plan, read_json(path), source=str(path), where="plan")
    if tuple(row.convolution for row in plan.rows) != config.layers.convolutions:
        raise UserError(f"{path} is damaged: it is not of the layers {', '.join(config.layers.convolutions)}")
    return plan


def _measured(config: Config, dataset: Dataset, build: Callable[[CellConfig], nn.Module], name: str) -> Row:
    cell = cell_config(config, name)
    model = build(cell)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = update_seconds(cell, model, dataset, warm=_WARM, timed=config.layers.timed_updates)
    counts = {label: int((dataset.train.labels == label).sum()) for label in range(len(dataset.problem.classes))}
    updates = max(1, math.floor(60 * config.layers.minutes / seconds))
    epochs, per_class = fitted(updates, counts=counts, batch_size=config.data.batch_size)
    return Row(convolution=name, update_seconds=seconds, epochs=epochs, per_class=per_class, parameters=parameters)


def fitted(updates: int, *, counts: Mapping[int, int], batch_size: int) -> tuple[int, int]:
    """Passes over the pictures, and pictures of each class (0: all), that make at most so many updates: as few passes
    as that takes, each over as many pictures as are left to it. One update at least.

    `counts` are the training pictures of each class.

    >>> tens = dict.fromkeys(range(10), 5000)
    >>> fitted(19500, counts=tens, batch_size=256), fitted(100, counts=tens, batch_size=256)
    ((100, 0), (1, 2560))
    >>> fitted(390, counts=tens, batch_size=256), fitted(300, counts=tens, batch_size=256)
    ((2, 0), (2, 3840))
    """
    whole = steps_per_epoch(sum(counts.values()), batch_size)
    epochs = math.ceil(updates / whole)
    each = updates // epochs
    if each >= whole:
        return epochs, 0
    per_class = min(math.ceil(each * batch_size / len(counts)), *counts.values())
    # where a class is so small that not one batch can be had of equally many of each, all are taken
    return epochs, per_class if per_class * len(counts) >= batch_size else 0
