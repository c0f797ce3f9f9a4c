"""A classification run from its seed to its report."""

import json
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from taut import certify, data
from taut import nn as tnn
from taut.data import Dataset, fingerprint
from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.tasks.classification import measure, outcome
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import build_loss, build_model, check_fit, objective, validation
from taut.tasks.classification.table import print_result
from taut.training.checkpoint import load_checkpoint
from taut.training.engine import finish, launch, on_first, together
from taut.training.interrupt import Interrupted, Interruption, interruptible
from taut.training.run_folder import RunFolder, check_out, create_run
from taut.training.sampling import check_batches
from taut.training.seeding import seed_everything
from taut.training.serialise import to_plain
from taut.training.supervised import Fitted, Job, fit


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Train, fold, certify, attack, write and print; continue `resume` where it is given.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Data missing or damaged, training diverged, a checkpoint damaged, a certificate refuted.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    check_out(out)
    with interruptible() as interruption:
        fabric = launch(config.engine)
        seed_everything(config.seed)
        dataset = together(fabric, lambda: data.load(config.data.dataset, config.data.data_root))
        model = together(fabric, lambda: _prepare(config, dataset, fabric))
        folder = resume or on_first(
            fabric,
            lambda: create_run(
                recipe, task=config.task, out=out, command=command, seed=config.seed, config=to_plain(config)
            ),
        )
        if fabric.global_rank == 0:
            print(f"run folder: {folder.path}", flush=True)
        with _how_to_continue(folder, fabric):
            fitted = _fit(config, fabric, dataset, model, folder, interruption)
            finish(fabric)
            if fabric.global_rank == 0:
                conclude(config, fitted, dataset, folder, recipe=recipe, command=command, fabric=fabric)


def _prepare(config: Config, dataset: Dataset, fabric: Fabric) -> nn.Module:
    """The untrained network, after every check that can be made before the run folder exists."""
    check_fit(config.data, dataset.problem)
    check_batches(len(dataset.train), config.data.batch_size, fabric.world_size)
    model = build_model(config.model, dataset.problem)
    try:
        certify.lower(tnn.fold(model), dataset.problem.shape)
    except TypeError as error:
        raise UsageError(f"the network could be trained but not certified: {error}") from error
    return model


def _fit(
    config: Config, fabric: Fabric, dataset: Dataset, model: nn.Module, folder: RunFolder, interruption: Interruption
) -> Fitted:
    loss = build_loss(config.loss)
    job = Job(
        model=model,
        tensors=(dataset.train.inputs, dataset.train.labels),
        data=fingerprint(dataset.train),
        objective=objective(loss),
        optimizer=config.optimizer,
        batch_size=config.data.batch_size,
        seed=config.seed,
        max_shift=config.data.augment_shift,
        validate=validation(dataset.test, loss, config.evaluation, fabric.device),
        validate_every=config.evaluation.validate_every,
    )
    checkpoint = on_first(fabric, lambda: load_checkpoint(folder.checkpoints))
    return fit(job, fabric=fabric, engine=config.engine, folder=folder, interruption=interruption, resume=checkpoint)


def conclude(
    config: Config,
    fitted: Fitted,
    dataset: Dataset,
    folder: RunFolder,
    *,
    recipe: str,
    command: Sequence[str],
    fabric: Fabric,
) -> None:
    """Fold, certify, attack, write. result.json comes last but for the report: where it is, the run is finished."""
    seconds = {"train": fitted.seconds}
    write_tensors(folder.model, fitted.model.state_dict())
    plain = tnn.fold(fitted.model).cpu().eval()
    write_tensors(folder.folded, plain.state_dict())

    started = time.monotonic()
    certificate = measure.certified(plain, dataset.test, norm=config.evaluation.norm)
    seconds["certify"] = time.monotonic() - started
    tensors = outcome.evaluation_tensors(dataset.test, certificate)

    attack = None
    if config.evaluation.attack_samples:
        started = time.monotonic()
        attack = measure.attacked(plain, dataset.test, config.evaluation, seed=config.seed, device=fabric.device)
        seconds["attack"] = time.monotonic() - started
        tensors |= outcome.attack_tensors(config.evaluation, certificate, attack)
        measure.check_consistent(certificate, attack, dataset.test, folder.path)

    measure.save_certificate(certificate, plain, dataset.test, folder.certificate)
    write_tensors(folder.evaluation, tensors)
    figures = outcome.result(
        config,
        recipe=recipe,
        command=command,
        dataset=dataset,
        model=plain,
        certificate=certificate,
        attack=attack,
        seconds=seconds,
    )
    write_json(folder.result, figures)
    written = [folder.result, folder.certificate, folder.network, folder.samples, folder.folded, report(folder)]
    print_result(figures, title=title(dataset), written=written)


def report(folder: RunFolder) -> Path:
    """Write report.html of a finished run. The plotting libraries are only loaded here."""
    from taut.reports import write_report

    return write_report(folder.path)


def title(dataset: Dataset) -> str:
    """Heading of the final table."""
    return f"{dataset.name}: {len(dataset.test)} held-out samples"


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    figures = json.loads(folder.result.read_text())
    print_result(figures, title=f"{figures['dataset']}: {figures['samples']} held-out samples (finished before)")
    return True


@contextmanager
def _how_to_continue(folder: RunFolder, fabric: Fabric) -> Iterator[None]:
    """Tell the user of an interrupted run how to go on; of several processes only the first speaks."""
    try:
        yield
    except Interrupted as stop:
        if fabric.global_rank != 0:
            raise SystemExit(0) from None
        stop.hint = f"interrupted; continue with: taut train --resume {shlex.quote(str(folder.path))}"
        raise
