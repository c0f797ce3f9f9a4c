"""The fits from their seed to their report: one batched training for each cell, then proofs and errors."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.optim import project_
from taut.tasks.activations import write_activations
from taut.tasks.fit_1d import outcome
from taut.tasks.fit_1d.config import Config
from taut.tasks.fit_1d.learner import FitLearner, cell_name, stack_of
from taut.tasks.fit_1d.stack import Stack
from taut.tasks.fit_1d.table import print_result
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.loop import run
from taut.training.run_folder import RunFolder


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train every cell, prove the constant of every network, measure, write and print; continue `resume`.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Training diverged, or a checkpoint is damaged.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    carry_out(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda fabric: _prepare(config, fabric),
        fit=lambda cells, session: _fit(config, cells, session),
        conclude=lambda _, trained, session: _conclude(config, trained, session),
    )


@dataclass(frozen=True)
class _Trained:
    stacks: dict[str, Stack]
    seconds: float


def _prepare(config: Config, fabric: Fabric) -> nn.ModuleDict:
    if fabric.world_size > 1:
        raise UsageError(
            f"fit-1d trains all networks of a kind as one batch on one device, got {fabric.world_size} processes"
        )
    return nn.ModuleDict({cell_name(*cell): stack_of(config, *cell) for cell in config.networks.cells})


def _fit(config: Config, cells: nn.ModuleDict, session: Session) -> _Trained:
    learner = FitLearner(config, cells, session.fabric)
    seconds = run(
        learner,
        fabric=session.fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )
    stacks = {name: learner.evaluated(name) for name in cells}
    for stack in stacks.values():
        project_(stack, exact=True)
    return _Trained(stacks, seconds)


def _conclude(config: Config, trained: _Trained, session: Session) -> None:
    """Fold, prove, measure, write. result.json comes last but for the report: where it is, the run is finished."""
    folder, started = session.folder, time.monotonic()
    fits = {name: outcome.measured(config, name, stack.cpu()) for name, stack in trained.stacks.items()}
    write_tensors(folder.model, outcome.stacked_weights(trained.stacks))
    write_tensors(folder.evaluation, outcome.evaluation_tensors(config, fits))
    write_activations(folder, outcome.learned_activations(fits))
    figures = outcome.result(
        config,
        fits,
        recipe=session.recipe,
        command=session.command,
        seconds={"train": trained.seconds, "evaluate": time.monotonic() - started},
    )
    write_json(folder.result, figures)
    print_result(figures, written=[folder.result, folder.model, report(folder)])


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
