"""The estimate of a Wasserstein distance from its seed to its report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut import nn as tnn
from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.optim import project_
from taut.tasks.activations import write_activations
from taut.tasks.critic import build_critic
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.tasks.wasserstein import outcome
from taut.tasks.wasserstein.config import Config
from taut.tasks.wasserstein.learner import CriticLearner
from taut.tasks.wasserstein.measure import measured, proven_constant
from taut.tasks.wasserstein.problem import Problem, read_problem
from taut.tasks.wasserstein.table import print_result
from taut.training.loop import run
from taut.training.run_folder import RunFolder
from taut.training.seeding import stream
from taut.transport.samples import SampleScale, find_scale, on_samples

_TRAIN_SAMPLES = 10_000


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train the critic, prove its constant, measure both ends of the bracket, write and print; continue `resume`.

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
    critics: nn.ModuleDict
    scale: SampleScale


@dataclass(frozen=True)
class _Trained:
    critics: dict[str, nn.Module]
    seconds: float


def _prepare(config: Config, fabric: Fabric) -> _Prepared:
    """Distributions and untrained critics, after every check that can be made before the run folder exists."""
    if config.distributions.batch_size % fabric.world_size:
        raise UsageError(
            f"batch-size is the global one and must be a multiple of the {fabric.world_size} processes, "
            f"got {config.distributions.batch_size}"
        )
    problem = read_problem(config)
    p, q = problem.held_out
    outcome.upper_end(p[:2], q[:2], config.evaluation)  # that POT is missing is said at once
    chosen = {"critic": config.critic}
    if config.evaluation.beside != "none":
        chosen["beside"] = replace(config.critic, activation=config.evaluation.beside)
    critics = nn.ModuleDict()
    for name, critic_config in chosen.items():
        critics[name] = build_critic(critic_config, problem.shape)
        proven_constant(tnn.fold(critics[name]).double(), problem.shape)
    return _Prepared(problem, critics, find_scale(*_training_samples(config, problem), torch.float32))


def _fit(config: Config, prepared: _Prepared, session: Session) -> _Trained:
    problem, fabric = prepared.problem, session.fabric
    learner = CriticLearner(
        config,
        prepared.critics,
        training=problem.training,
        held_out=problem.held_out,
        scale=prepared.scale,
        data=problem.fingerprint(),
        fabric=fabric,
    )
    seconds = run(
        learner,
        fabric=fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )
    critics = {name: learner.evaluated(name) for name in learner.optimizers}
    for critic in critics.values():
        project_(critic, exact=True)
    shape, scale = problem.shape, prepared.scale
    complete = {name: on_samples(critic, scale, shape, torch.float32) for name, critic in critics.items()}
    return _Trained(complete, seconds)


def _conclude(config: Config, prepared: _Prepared, trained: _Trained, session: Session) -> None:
    """Fold, prove, measure, write. result.json comes last but for the report: where it is, the run is finished."""
    problem, folder, started = prepared.problem, session.folder, time.monotonic()
    found = {name: measured(critic, problem, seed=config.seed) for name, critic in trained.critics.items()}
    training = replace(problem, held_out=_training_samples(config, problem))
    on_training = measured(trained.critics["critic"], training, seed=config.seed)
    train_estimate = float(on_training.p_values.mean() - on_training.q_values.mean())
    write_tensors(folder.model, trained.critics["critic"].state_dict())
    write_activations(folder, trained.critics["critic"])
    write_tensors(folder.folded, found["critic"].plain.state_dict())
    write_tensors(folder.evaluation, outcome.evaluation_tensors(found, problem))
    figures = outcome.result(
        config,
        problem,
        found,
        recipe=session.recipe,
        command=session.command,
        train_estimate=train_estimate,
        unit=prepared.scale.unit,
        seconds={"train": trained.seconds, "evaluate": time.monotonic() - started},
    )
    write_json(folder.result, figures)
    print_result(figures, written=[folder.result, folder.folded, report(folder)])


def _training_samples(config: Config, problem: Problem) -> tuple[Tensor, Tensor]:
    """Samples that training may see."""
    drawn = []
    for name, side in zip("pq", problem.training, strict=True):
        count = _TRAIN_SAMPLES if side.size is None else min(side.size, _TRAIN_SAMPLES)
        drawn.append(side.sample(count, stream(config.seed, "training", name)))
    return drawn[0], drawn[1]


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
