"""An invertible network from its seed to its report."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from taut import nn as tnn
from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.models import InvertibleNetwork
from taut.optim import project_
from taut.tasks.activations import write_activations
from taut.tasks.invertible import outcome
from taut.tasks.invertible.config import Config
from taut.tasks.invertible.learner import InvertibleLearner
from taut.tasks.invertible.measure import check_inverse, measured
from taut.tasks.invertible.problem import Problem, build_network, read_problem, transported
from taut.tasks.invertible.table import print_result
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.loop import run
from taut.training.run_folder import RunFolder


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train the network, prove the error of its inverse, measure density and samples, write and print; continue
    `resume`.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Data missing or damaged, training diverged, a checkpoint damaged.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    carry_out(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda fabric: _prepare(config, fabric),
        fit=lambda prepared, session: _fit(config, prepared, session),
        conclude=lambda prepared, trained, session: _conclude(config, prepared, trained, session),
    )


@dataclass(frozen=True)
class _Prepared:
    problem: Problem
    network: InvertibleNetwork


@dataclass(frozen=True)
class _Trained:
    network: InvertibleNetwork
    seconds: float


def _prepare(config: Config, fabric: Fabric) -> _Prepared:
    """Target and untrained network, after every check that can be made before the run folder exists."""
    world = fabric.world_size
    if config.target.batch_size % world or config.target.batch_size < 2 * world:
        raise UsageError(
            f"batch-size is the global one and must be a multiple of the {world} processes, at least 2 for each, "
            f"got {config.target.batch_size}"
        )
    problem = read_problem(config)
    if config.evaluation.transport_samples:
        transported(problem.held_out[:2], problem.others[:2])  # that POT is missing is said at once
    network = build_network(config.network, problem.features)
    network.first.set_from_([problem.standardising(config.seed)])
    check_inverse(network, config, features=problem.features)
    return _Prepared(problem, network)


def _fit(config: Config, prepared: _Prepared, session: Session) -> _Trained:
    learner = InvertibleLearner(config, prepared.network, problem=prepared.problem, fabric=session.fabric)
    seconds = run(
        learner,
        fabric=session.fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )
    project_(learner.evaluated, exact=True)
    return _Trained(learner.evaluated, seconds)


def _conclude(config: Config, prepared: _Prepared, trained: _Trained, session: Session) -> None:
    """Prove, measure, write. result.json comes last but for the report: where it is, the run is finished."""
    folder, started = session.folder, time.monotonic()
    network = trained.network.cpu().eval()
    write_tensors(folder.model, network.state_dict())
    exact = copy.deepcopy(network).double()
    plain = tnn.fold(exact)
    found = measured(exact, prepared.problem, config)
    write_tensors(folder.folded, plain.state_dict())
    write_tensors(folder.evaluation, found.tensors)
    write_activations(folder, network)
    figures = outcome.result(
        config,
        prepared.problem,
        found,
        plain,
        recipe=session.recipe,
        command=session.command,
        seconds={"train": trained.seconds, "evaluate": time.monotonic() - started},
    )
    write_json(folder.result, figures)
    print_result(figures, written=[folder.result, folder.folded, report(folder)])


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
