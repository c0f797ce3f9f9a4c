"""The cells of the table: which critic each one is, what was published for it, and where it is computed."""

from dataclasses import dataclass
from pathlib import Path

from taut.tasks.wasserstein import Config as CellConfig
from taut.tasks.wasserstein import CriticConfig, DistributionsConfig, EvaluationConfig
from taut.tasks.wasserstein_table.config import Config
from taut.training.optimizers import OptimizerConfig

_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The activation of a row."""

    activation: str
    group_size: int = 2


KINDS = {
    "ReLU": Kind(activation="relu"),
    "PReLU": Kind(activation="lipschitz-prelu"),
    "MaxOut": Kind(activation="max-out"),
    "MaxMin": Kind(activation="max-min"),
    "Householder": Kind(activation="householder-activation"),
    "spline": Kind(activation="linear-spline"),
    "GroupSort(4)": Kind(activation="group-sort", group_size=4),
    "GroupSort(9)": Kind(activation="group-sort", group_size=9),
}
LINEARS = ("spectral-norm", "bjorck")

PUBLISHED: dict[tuple[str, str], tuple[float, float]] = {
    ("ReLU", "spectral-norm"): (0.95, 1.12),
    ("MaxMin", "spectral-norm"): (1.36, 1.62),
    ("GroupSort(4)", "spectral-norm"): (1.64, 1.63),
    ("ReLU", "bjorck"): (1.40, 1.39),
    ("MaxOut", "bjorck"): (1.95, 1.76),
    ("MaxMin", "bjorck"): (2.16, 2.08),
    ("GroupSort(4)", "bjorck"): (2.31, 2.17),
    ("GroupSort(9)", "bjorck"): (2.31, 2.23),
}
"""On MNIST and CIFAR-10, for generators that are not public (Anil, Lucas and Grosse, 2019, table 1)."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One critic: a row, a kind of linear layer, a seed."""

    row: str
    linear: str
    seed: int

    def folder(self, table: Path) -> Path:
        """Where it is computed, a run folder like any other."""
        name = "".join(letter if letter.isalnum() else "-" for letter in self.row.lower()).strip("-")
        return table / "cells" / f"{name}-{self.linear}-{self.seed}"


def cells(config: Config) -> list[Cell]:
    """All of the table, seed by seed, so that an interrupted table is complete for some seeds first."""
    return [
        Cell(row=row, linear=linear, seed=seed)
        for seed in range(config.critics.seeds)
        for linear in LINEARS
        for row in config.critics.rows
    ]


def cell_config(cell: Cell, config: Config, generated: Path) -> CellConfig:
    """The run that computes `cell`; `generated` is the file with the generator's pictures."""
    critics, source, kind = config.critics, config.generator, KINDS[cell.row]
    return CellConfig(
        seed=cell.seed,
        distributions=DistributionsConfig(
            p=source.dataset,
            q=str(generated),
            data_root=source.data_root,
            batch_size=critics.batch_size,
            steps_per_epoch=max(1, critics.steps // _EPOCHS),
        ),
        critic=CriticConfig(
            width=critics.width,
            depth=critics.depth,
            linear=cell.linear,
            activation=kind.activation,
            group_size=kind.group_size,
        ),
        optimizer=OptimizerConfig(
            epochs=_EPOCHS if critics.steps >= _EPOCHS else critics.steps, optimizer=critics.optimizer, lr=critics.lr
        ),
        engine=config.engine,
        evaluation=EvaluationConfig(samples=critics.samples, transport_samples=0),
    )
