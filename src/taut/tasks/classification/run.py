"""A classification run from its seed to its report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from taut import certify, data
from taut import nn as tnn
from taut.data import Dataset, fingerprint
from taut.errors import UsageError
from taut.files import write_json, write_tensors
from taut.tasks.activations import write_activations
from taut.tasks.classification import measure, outcome
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import build_loss, build_model, check_fit, validation
from taut.tasks.classification.regularised import build_objective, check_regularisation
from taut.tasks.classification.table import print_result
from taut.tasks.running import Session, carry_out, finished_result, report
from taut.training.relaxation import check_relaxation
from taut.training.run_folder import RunFolder
from taut.training.sampling import check_batches
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
    carry_out(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda fabric: _prepare(config, fabric),
        fit=lambda prepared, session: _fit(config, prepared, session),
        conclude=lambda prepared, fitted, session: conclude(config, prepared.dataset, fitted, session),
    )


@dataclass(frozen=True)
class _Prepared:
    dataset: Dataset
    model: nn.Module


def _prepare(config: Config, fabric: Fabric) -> _Prepared:
    """Data and the untrained network, after every check that can be made before the run folder exists."""
    dataset = data.load(config.data.dataset, config.data.data_root)
    check_fit(config.data, dataset.problem)
    check_batches(len(dataset.train), config.data.batch_size, fabric.world_size)
    model = build_model(config.model, dataset.problem)
    check_regularisation(config, model, dataset.problem)
    check_relaxation(model, config.relaxation)
    if config.evaluation.certify:
        try:
            certify.lower(tnn.fold(model).eval(), dataset.problem.shape)
        except TypeError as error:
            raise UsageError(
                f"the network could be trained but not certified: {error} (to train it all the same, without a "
                "certificate: --config.evaluation.no-certify)"
            ) from error
    return _Prepared(dataset, model)


def _fit(config: Config, prepared: _Prepared, session: Session) -> Fitted:
    loss, dataset = build_loss(config.loss), prepared.dataset
    of_batch, reseed = build_objective(config, prepared.model)
    job = Job(
        model=prepared.model,
        tensors=(dataset.train.inputs, dataset.train.labels),
        data=fingerprint(dataset.train),
        objective=of_batch,
        reseed=reseed,
        optimizer=config.optimizer,
        updates=config.updates,
        batch_size=config.data.batch_size,
        seed=config.seed,
        max_shift=config.data.augment_shift,
        relaxation=config.relaxation,
        validate=validation(dataset.test, loss, config.evaluation, session.fabric.device),
        validate_every=config.evaluation.validate_every,
    )
    return fit(
        job,
        fabric=session.fabric,
        engine=config.engine,
        folder=session.folder,
        interruption=session.interruption,
        resume=session.checkpoint(),
    )


def conclude(config: Config, dataset: Dataset, fitted: Fitted, session: Session) -> None:
    """Fold, certify, attack, write. result.json comes last but for the report: where it is, the run is finished."""
    folder, seconds = session.folder, {"train": fitted.seconds}
    write_tensors(folder.model, fitted.model.state_dict())
    write_activations(folder, fitted.model)
    plain = tnn.fold(fitted.model).cpu().eval()
    write_tensors(folder.folded, plain.state_dict())

    started = time.monotonic()
    certificate = measure.assessed(plain, dataset.test, config.evaluation)
    seconds["certify"] = time.monotonic() - started
    tensors = outcome.evaluation_tensors(dataset.test, certificate)

    attack = None
    if config.evaluation.attack_samples:
        started = time.monotonic()
        attack = measure.attacked(
            plain, dataset.test, config.evaluation, seed=config.seed, device=session.fabric.device
        )
        seconds["attack"] = time.monotonic() - started
        tensors |= outcome.attack_tensors(config.evaluation, certificate, attack)
        measure.check_consistent(certificate, attack, dataset.test, folder.path)

    proof: list[Path] = []
    if isinstance(certificate, certify.Certificate):
        proof = measure.save_certificate(certificate, plain, dataset.test, folder.certificate)
    write_tensors(folder.evaluation, tensors)
    figures = outcome.result(
        config,
        recipe=session.recipe,
        command=session.command,
        dataset=dataset,
        model=plain,
        certificate=certificate,
        attack=attack,
        seconds=seconds,
    )
    write_json(folder.result, figures)
    written = [folder.result, *proof, folder.folded, report(folder)]
    print_result(figures, title=title(dataset), written=written)


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
