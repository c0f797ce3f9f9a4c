"""A classifier as a job for the trainer, and the checks of its network: for a run, and for timing its updates."""

import torch
from torch import nn

from taut import certify
from taut import nn as tnn
from taut.data import Dataset, Problem, fingerprint
from taut.errors import UsageError
from taut.tasks.classification import streamed
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import build_loss, head_constants, validation
from taut.tasks.classification.regularised import build_objective, check_regularisation
from taut.tasks.classification.streamed import Streamed
from taut.training.relaxation import check_relaxation
from taut.training.supervised import Job


def check_network(config: Config, model: nn.Module, problem: Problem) -> None:
    """Raise UsageError where `model` cannot be trained as `config` says, or not be certified afterwards."""
    check_regularisation(config, model, problem)
    check_relaxation(model, config.relaxation)
    if config.evaluation.certify:
        try:
            certify.lower(tnn.fold(model).eval(), problem.shape)
        except TypeError as error:
            raise UsageError(
                f"the network could be trained but not certified: {error} (to train it all the same, without a "
                "certificate: --no-certify)"
            ) from error


def build_job(
    config: Config, model: nn.Module, dataset: Dataset, *, device: torch.device, stream: Streamed | None = None
) -> Job:
    """What `taut.training.supervised.fit` is to do with `model`: on the training split of `dataset`, which is held, or
    on `stream`, of which `dataset` is the head."""
    constants = head_constants(model, config.model, norm=config.evaluation.norm)
    loss = build_loss(config.loss, constants=constants)
    of_batch, reseed = build_objective(config, model)
    return Job(
        model=model,
        tensors=(dataset.train.stored, dataset.train.labels),
        data=stream.pictures.train.fingerprint if stream else fingerprint(dataset.train),
        objective=of_batch,
        reseed=reseed,
        optimizer=config.optimizer,
        updates=config.updates,
        batch_size=config.data.batch_size,
        seed=config.seed,
        augmentation=config.data.augmentation,
        relaxation=config.relaxation,
        stream=streamed.batches(stream, config) if stream else None,
        validate=streamed.validation(stream, config, loss, device)
        if stream
        else validation(dataset.test, loss, config.evaluation, config.model, device),
        validate_every=config.evaluation.validate_every,
    )
