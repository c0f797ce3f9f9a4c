"""A classification run from its seed to its report."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from taut import certify
from taut import nn as tnn
from taut.data import Dataset
from taut.files import sha256, write_json, write_tensors
from taut.tasks.activations import write_activations
from taut.tasks.classification import measure, outcome, streamed
from taut.tasks.classification.config import Config
from taut.tasks.classification.job import build_job, check_network
from taut.tasks.classification.parts import build_loss, build_model, check_fit, head_constants, set_inputs_
from taut.tasks.classification.saved import network_problem, read_config
from taut.tasks.classification.start import earlier, load_start
from taut.tasks.classification.streamed import Streamed, is_streamed, open_streamed
from taut.tasks.classification.subset import Chosen, chosen, keep_index
from taut.tasks.classification.table import print_result
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.checkpoint import has_checkpoint
from taut.training.run_folder import RunFolder
from taut.training.sampling import check_batches
from taut.training.supervised import Fitted, fit


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train, fold, certify, attack, write and print; continue `resume` where it is given.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Data missing or damaged, training diverged, a checkpoint damaged, a certificate refuted.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    carry_out(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda fabric: _prepare(config, fabric, fresh=resume is None or not has_checkpoint(resume.checkpoints)),
        fit=lambda prepared, session: _fit(config, prepared, session),
        conclude=lambda prepared, fitted, session: conclude(
            config, prepared.dataset, fitted, session, streamed=_streamed(prepared, config)
        ),
    )


@dataclass(frozen=True)
class _Prepared:
    data: Chosen | Streamed
    model: nn.Module

    @property
    def dataset(self) -> Dataset:
        return self.data.head if isinstance(self.data, Streamed) else self.data.dataset


def _prepare(config: Config, fabric: Fabric, *, fresh: bool) -> _Prepared:
    """Data and the network before training, after every check that can be made before the run folder exists; the
    weights that it starts from are needed by a `fresh` run only."""
    found = open_streamed(config, world_size=fabric.world_size) if is_streamed(config) else chosen(config.data)
    dataset = found.head if isinstance(found, Streamed) else found.dataset
    check_fit(config.data, dataset.problem)
    if isinstance(found, Chosen):
        check_batches(len(dataset.train), config.data.batch_size, fabric.world_size)
    model = build_model(config.model, dataset.problem)
    set_inputs_(model, dataset.train)
    if isinstance(found, Streamed):
        streamed.check_sizes(config, model)
        if config.stream.channels_last:  # before the processes are joined, which keep gradients in the same layout
            model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if fresh and config.start.start_from is not None:
        trained, old = read_config(config.start.start_from)
        of = network_problem(trained, old, old.data.data_root or config.data.data_root)
        load_start(model, config.start, build_model(old.model, of), dataset.problem, of)
    check_network(config, model, dataset.problem)
    return _Prepared(found, model)


def _fit(config: Config, prepared: _Prepared, session: Session) -> Fitted:
    found, dataset = prepared.data, prepared.dataset
    if session.fabric.global_rank == 0:
        if isinstance(found, Streamed):
            streamed.write_classes(session.folder, dataset.problem)
        else:
            keep_index(session.folder, found)
    stream = found if isinstance(found, Streamed) else None
    job = build_job(config, prepared.model, dataset, device=session.fabric.device, stream=stream)
    return fit(
        job,
        fabric=session.fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )


def conclude(
    config: Config,
    dataset: Dataset,
    fitted: Fitted,
    session: Session,
    *,
    streamed: Callable[[nn.Module, Session], dict[str, Any]] = lambda model, session: {},
) -> None:
    """Fold, certify, attack, write. result.json comes last but for the report: where it is, the run is finished.

    `streamed` adds to the result what is measured of pictures that `dataset` has only some of.
    """
    folder, seconds = session.folder, {"train": fitted.seconds}
    write_tensors(folder.model, fitted.model.state_dict())
    write_activations(folder, fitted.model)
    plain = tnn.fold(fitted.model).cpu().eval()
    write_tensors(folder.folded, plain.state_dict())

    started = time.monotonic()
    certificate = measure.assessed(plain, dataset.test, config.evaluation)
    seconds["certify"] = time.monotonic() - started
    tensors = outcome.evaluation_tensors(dataset.test, certificate)

    attack = fgsm = None
    if config.evaluation.attack_samples:
        started = time.monotonic()
        attack = measure.attacked(
            plain, dataset.test, config.evaluation, seed=config.seed, device=session.fabric.device
        )
        seconds["attack"] = time.monotonic() - started
        tensors |= outcome.attack_tensors(config.evaluation, certificate, attack)
        measure.check_consistent(certificate, attack, dataset.test, folder.path)
        if config.evaluation.fgsm:
            fgsm = measure.attacked_once(plain, dataset.test, config.evaluation, device=session.fabric.device)
            measure.check_consistent(certificate, fgsm, dataset.test, folder.path)

    proof: list[Path] = []
    if isinstance(certificate, certify.Certificate):
        proof = measure.save_certificate(certificate, plain, dataset.test, folder.certificate)
    write_tensors(folder.evaluation, tensors)
    started = time.monotonic()
    if more := streamed(plain, session):
        seconds["held_out"] = time.monotonic() - started
    figures = (
        more
        | earlier(config.start)
        | {"folded_sha256": sha256(folder.folded)}
        | outcome.result(
            config,
            recipe=session.recipe,
            command=session.command,
            dataset=dataset,
            model=plain,
            certificate=certificate,
            attack=attack,
            fgsm=fgsm,
            seconds=seconds,
        )
    )
    write_json(folder.result, figures)
    written = [folder.result, *proof, folder.folded, report(folder)]
    print_result(figures, title=title(dataset), written=written)


def _streamed(prepared: _Prepared, config: Config) -> Callable[[nn.Module, Session], dict[str, Any]]:
    """Accuracy on the whole held-out split of streamed pictures."""
    found = prepared.data
    if not isinstance(found, Streamed):
        return lambda model, session: {}

    def measured(model: nn.Module, session: Session) -> dict[str, Any]:
        constants = head_constants(model, config.model, norm=config.evaluation.norm, folded=True)
        loss, device = build_loss(config.loss, constants=constants), session.fabric.device
        return {"held_out": streamed.held_out(copy.deepcopy(model), found, config, loss, device, quiet=False)}

    return measured


def title(dataset: Dataset) -> str:
    """Heading of the final table."""
    return f"{dataset.name}: {len(dataset.test)} held-out samples"


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, title=f"{figures['dataset']}: {figures['samples']} held-out samples (finished before)")
    return True
