"""Training on labelled data, held on the device or streamed: one network, one optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.optim import project_
from taut.training.augment import Augmentation
from taut.training.batches import Batch, Batches, HeldBatches
from taut.training.checkpoint import Checkpoint
from taut.training.ema import averaged_copy, follow
from taut.training.engine import EngineConfig
from taut.training.interrupt import Interruption
from taut.training.learner import Learner
from taut.training.loop import run
from taut.training.optimizers import OptimizerConfig, build_optimizer, learning_rate, set_rates
from taut.training.regularisers import penalty
from taut.training.relaxation import RelaxationConfig, exact, relax_for
from taut.training.run_folder import RunFolder
from taut.training.updates import UpdateConfig, clipped


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, on what, towards what."""

    model: nn.Module
    """Updated in place."""
    tensors: Batch = ()
    """The training split, first dimension samples; the first tensor is the inputs. Not used where `stream` is given."""
    data: str
    """Fingerprint of the training split: a checkpoint continues only on the same data."""
    objective: Callable[[nn.Module, Batch], dict[str, Tensor]]
    """Metrics of a batch, each the mean over the batch, "loss" being the one that is minimised, with the penalty that
    the optimizer's config asks for."""
    optimizer: OptimizerConfig
    updates: UpdateConfig = field(default_factory=UpdateConfig)
    batch_size: int
    """Global, over all processes."""
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Of the inputs, where they are pictures."""
    relaxation: RelaxationConfig = field(default_factory=RelaxationConfig)
    """Of the layers of distances, if there are some."""
    stream: Callable[[Fabric], Batches] | None = None
    """Batches that are read as they are needed, instead of `tensors`, `batch_size` and `augmentation`."""
    reseed: Callable[[int, int], None] = field(default=lambda step, rank: None)
    """Called with step and process before the objective: all that it draws by itself is to follow from these."""
    validate: Callable[[nn.Module], dict[str, Any]] = field(default=lambda _: {})
    """Figures of the evaluated model, for metrics.jsonl; called on the first process."""
    validate_every: int = 1
    """Epochs between two validations; the last epoch always ends with one."""


@dataclass(frozen=True)
class Fitted:
    """Outcome of `fit`."""

    model: nn.Module
    """What is to be evaluated: the trained model, or the average of its parameters over time."""
    seconds: float
    """Time spent in training, before and after interruptions."""


def fit(
    job: Job,
    *,
    fabric: Fabric,
    engine: EngineConfig,
    folder: RunFolder,
    interruption: Interruption,
    resume: Checkpoint | None = None,
) -> Fitted:
    """Train `job.model` to the end, from `resume` where it is given. Errors as those of `taut.training.loop.run`."""
    fitted = _Supervised(job, fabric)
    seconds = run(fitted, fabric=fabric, engine=engine, folder=folder, interruption=interruption, resume=resume)
    model = exact(fitted.evaluated, job.relaxation)
    project_(model, exact=True)
    return Fitted(model, seconds)


def learner(job: Job, fabric: Fabric) -> Learner:
    """What `fit` trains, before its first update."""
    return _Supervised(job, fabric)


class _Supervised(Learner):
    def __init__(self, job: Job, fabric: Fabric) -> None:
        self.job, self.fabric, self.model = job, fabric, job.model
        optimizer = build_optimizer(self.model, job.optimizer)
        self.optimizers = {"model": optimizer}
        network = torch.compile(self.model) if job.updates.compile else self.model
        self.network, self.updater = fabric.setup(network, optimizer)  # pyright: ignore[reportArgumentType]
        self.averages = {"model": averaged_copy(self.model)} if job.optimizer.averages else {}
        self.batches = _batches(job, fabric)
        self.data, self.validate_every = job.data, job.validate_every
        self.steps_per_epoch, self.steps = self.batches.steps_per_epoch, self.batches.steps

    @property
    def evaluated(self) -> nn.Module:
        return self.averages.get("model", self.model)

    def update(self, step: int) -> dict[str, Tensor]:
        set_rates(self.optimizers["model"], self.rate(step))
        relax_for(self.model, self.batches.progress(step), self.steps, self.job.relaxation)
        self.job.reseed(step, self.fabric.global_rank)
        metrics = self._gradients(step)
        metrics |= clipped(self.fabric, self.network, self.updater, self.job.updates)
        self.updater.step()
        self.updater.zero_grad(set_to_none=True)
        if self.job.updates.project_every == "update" or self._ends_epoch(step):
            project_(self.model)
        for average in self.averages.values():
            follow(average, self.model, self.job.optimizer, step=step, total=self.steps)
        return metrics

    def _gradients(self, step: int) -> dict[str, Tensor]:
        """Add up the gradients of this process's share of a batch; its metrics."""
        parts = [tensor.chunk(self.job.updates.accumulate) for tensor in self.batches.batch(step)]
        shares = [len(first) / sum(map(len, parts[0])) for first in parts[0]]
        metrics: dict[str, Tensor] = {}
        added = None
        for number, (share, part) in enumerate(zip(shares, zip(*parts, strict=True), strict=True)):
            last = number == len(shares) - 1
            with self.fabric.no_backward_sync(self.network, enabled=not last):
                found = self.job.objective(self.network, part)
                loss = found["loss"] if share == 1 else share * found["loss"]
                added = penalty(self.model, self.job.optimizer) if last else None
                self.fabric.backward(loss if added is None else loss + added)
            for name, value in found.items():
                mean = value.detach() if share == 1 else share * value.detach()
                metrics[name] = metrics[name] + mean if name in metrics else mean
        return metrics if added is None else metrics | {"tv2": added.detach()}

    def rate(self, step: int) -> float:
        # A larger batch takes a proportionally larger step (Goyal et al., 2017).
        scale = self.batches.size(step) / self.batches.size(0)
        return scale * learning_rate(self.batches.progress(step), self.steps, self.job.optimizer)

    def _ends_epoch(self, step: int) -> bool:
        return step + 1 == self.steps or self.epoch(step + 1) != self.epoch(step)

    def samples(self, step: int) -> int:
        return self.batches.size(step)

    def epoch(self, step: int) -> int:
        return self.batches.epoch(step)

    def check(self) -> None:
        self.batches.check()

    def validate(self, step: int) -> dict[str, Any]:
        return self.job.validate(exact(self.evaluated, self.job.relaxation))


def _batches(job: Job, fabric: Fabric) -> Batches:
    if job.stream is not None:
        return job.stream(fabric)
    return HeldBatches(
        job.tensors,
        batch_size=job.batch_size,
        epochs=job.optimizer.epochs,
        seed=job.seed,
        augmentation=job.augmentation,
        fabric=fabric,
    )
