"""A GAN from its seed to its report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from taut import data
from taut.data import Dataset
from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.optim import project_
from taut.reports.image_files import grid, write_gif, write_png
from taut.tasks.activations import write_activations
from taut.tasks.gan.config import Config
from taut.tasks.gan.learner import GanLearner
from taut.tasks.gan.measure import check_transport, critic_bound, quality
from taut.tasks.gan.parts import build_gan_critic, build_generator, interpolation, latents, pictures, renew_statistics
from taut.tasks.gan.saved import CRITIC, GENERATOR
from taut.tasks.gan.table import print_result
from taut.tasks.provenance import provenance
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.loop import run
from taut.training.run_folder import RunFolder
from taut.training.sampling import check_batches

_ROWS, _COLUMNS = 6, 10


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train generator and critic, keep samples on the way, measure quality, write and print; continue `resume`.

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
        conclude=lambda prepared, trained, session: _conclude(config, prepared.dataset, trained, session),
    )


@dataclass(frozen=True)
class _Prepared:
    dataset: Dataset
    networks: nn.ModuleDict


@dataclass(frozen=True)
class _Trained:
    generator: nn.Module
    critic: nn.Module
    seconds: float


def _prepare(config: Config, fabric: Fabric) -> _Prepared:
    """Data and untrained networks, after every check that can be made before the run folder exists."""
    dataset = data.load(config.data.dataset, config.data.data_root)
    shape = dataset.problem.shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError(f"a GAN needs pictures of 1 or 3 channels, but {config.data.dataset} has the shape {shape}")
    check_transport(config)
    check_batches(len(dataset.train), config.data.batch_size * config.gan.n_critic, fabric.world_size)
    networks = nn.ModuleDict({"generator": build_generator(config, shape), "critic": build_gan_critic(config, shape)})
    return _Prepared(dataset, networks)


def _fit(config: Config, prepared: _Prepared, session: Session) -> _Trained:
    folder, fabric = session.folder, session.fabric
    fixed = latents(config.evaluation.grid, config.gan.latent, config.seed, "grid")

    def show(step: int, generator: nn.Module) -> None:
        write_png(folder.path / "samples" / f"{step:06d}.png", grid(pictures(generator, fixed)))

    learner = GanLearner(config, prepared.dataset, prepared.networks, fabric=fabric, show=show)
    seconds = run(
        learner,
        fabric=fabric,
        engine=config.engine,
        folder=folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )
    critic = prepared.networks["critic"]
    project_(critic, exact=True)
    if learner.averages:
        renew_statistics(learner.evaluated, config.gan.latent, seed=config.seed)
    return _Trained(learner.evaluated, critic, seconds)


def _conclude(config: Config, dataset: Dataset, trained: _Trained, session: Session) -> None:
    """Pictures first, then quality. result.json comes last but for the report: where it is, the run is finished."""
    folder, started = session.folder, time.monotonic()
    write_tensors(folder.path / GENERATOR, trained.generator.state_dict())
    write_tensors(folder.path / CRITIC, trained.critic.state_dict())
    write_activations(folder, trained.critic)
    _write_pictures(config, dataset, trained.generator, folder)
    figures: dict[str, Any] | None = None
    if config.evaluation.samples:
        z = latents(2 * config.evaluation.samples, config.gan.latent, config.seed, "quality")
        figures = quality(config, dataset, pictures(trained.generator, z), device=session.fabric.device)
    result = {
        "task": config.task,
        "recipe": session.recipe,
        "dataset": dataset.name,
        "gan_type": config.gan.gan_type,
        "shape": list(dataset.problem.shape),
        "critic": type(trained.critic).__name__ if config.gan.gan_type != "lwgan" else config.critic.critic,
        "lipschitz_bound": critic_bound(trained.critic, dataset.problem.shape),
        "quality": figures,
        "parameters": {
            "generator": sum(parameter.numel() for parameter in trained.generator.parameters()),
            "critic": sum(parameter.numel() for parameter in trained.critic.parameters()),
        },
        **provenance(
            command=session.command,
            seed=config.seed,
            seconds={"train": trained.seconds, "evaluate": time.monotonic() - started},
        ),
    }
    write_json(folder.result, result)
    written = [folder.result, folder.path / "samples.png", folder.path / "samples.gif", report(folder)]
    print_result(result, written=written)


def _write_pictures(config: Config, dataset: Dataset, generator: nn.Module, folder: RunFolder) -> None:
    fixed = latents(config.evaluation.grid, config.gan.latent, config.seed, "grid")
    between = torch.cat(list(interpolation(config.gan.latent, rows=_ROWS, columns=_COLUMNS, seed=config.seed)))
    write_png(folder.path / "samples.png", grid(pictures(generator, fixed)))
    write_png(folder.path / "interpolation.png", grid(pictures(generator, between), columns=_COLUMNS))
    write_png(folder.path / "real.png", grid(dataset.test.inputs[: config.evaluation.grid]))
    frames = sorted((folder.path / "samples").glob("[0-9]*.png"))
    write_gif(folder.path / "samples.gif", [*frames, folder.path / "samples.png"])


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
