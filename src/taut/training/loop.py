"""The training loop: whole data set on the device, one seeded plan per epoch, no waiting for the device between
logs."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.errors import UserError
from taut.optim import project_
from taut.training.augment import shift_images
from taut.training.checkpoint import Checkpoint, Counters, save_checkpoint
from taut.training.ema import averaged_copy, update_average
from taut.training.engine import EngineConfig, leave, on_first
from taut.training.interrupt import Interrupted, Interruption
from taut.training.metrics import Meter, MetricsLog
from taut.training.optimizers import OptimizerConfig, build_optimizer, learning_rate
from taut.training.progress import Reporter, progress
from taut.training.run_folder import RunFolder
from taut.training.sampling import EpochPlan, epoch_plan, steps_per_epoch
from taut.training.trainer_state import pack, pack_random_state, unpack

Batch = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, on what, towards what."""

    model: nn.Module
    """Updated in place."""
    tensors: Batch
    """The training split, first dimension samples; the first tensor is the inputs."""
    data: str
    """Fingerprint of the training split: a checkpoint continues only on the same data."""
    objective: Callable[[nn.Module, Batch], dict[str, Tensor]]
    """Metrics of a batch, each the mean over the batch, "loss" being the one that is minimised."""
    optimizer: OptimizerConfig
    batch_size: int
    """Global, over all processes."""
    seed: int
    max_shift: int = 0
    """Random displacement of the inputs, in pixels."""
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
    """Train `job.model` to the end, from `resume` where it is given.

    Raises:
        UserError: The loss or a weight became infinite or NaN; the last checkpoint is kept.
        Interrupted: SIGINT or SIGTERM arrived; a checkpoint of the last finished step was written.
    """
    loop = _Loop(job, fabric, engine, folder, resume)
    with (
        interruption.deferred(),
        progress("training", loop.total, start=loop.step, show=fabric.global_rank == 0) as reporter,
    ):
        try:
            loop.run(reporter, interruption)
        finally:
            loop.close()
    if interruption.signal_number:
        leave(fabric, Interrupted(interruption.signal_number))
    project_(loop.evaluated, exact=True)
    return Fitted(loop.evaluated, loop.seconds())


class _Loop:
    """State of a training run between two steps."""

    def __init__(
        self, job: Job, fabric: Fabric, engine: EngineConfig, folder: RunFolder, resume: Checkpoint | None
    ) -> None:
        self.job, self.fabric, self.engine, self.folder = job, fabric, engine, folder
        self.model = job.model
        if resume is not None:
            self._check(resume)
            self.model.load_state_dict(resume.model)
        self.optimizer = build_optimizer(self.model, job.optimizer)
        self.network, self.updater = fabric.setup(self.model, self.optimizer)
        self.average = averaged_copy(self.model) if job.optimizer.ema else None
        self.tensors = tuple(tensor.to(fabric.device) for tensor in job.tensors)
        self.steps_per_epoch = steps_per_epoch(len(self.tensors[0]), job.batch_size)
        self.total = self.steps_per_epoch * job.optimizer.epochs
        self.meter = Meter(engine.log_every, fabric.device)
        self.step = 0
        self._seconds_before = 0.0
        kept = 0
        if resume is not None:
            kept = self._restore(resume)
        self.log = self._open_log(kept)
        self._plan: EpochPlan | None = None
        self._planned_epoch = -1
        self._started = self._saved = self._logged = time.monotonic()

    @property
    def evaluated(self) -> nn.Module:
        return self.model if self.average is None else self.average

    def seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def run(self, reporter: Reporter, interruption: Interruption) -> None:
        while self.step < self.total:
            self._update()
            reporter.advance(self.step)
            epoch_done = self.step % self.steps_per_epoch == 0
            boundary = epoch_done or self.meter.count == self.engine.log_every
            if boundary:
                self._log_training(reporter)
                if epoch_done:
                    self._log_validation(reporter)
            if boundary or (self.fabric.world_size == 1 and interruption.signal_number):
                self._save_or_stop(interruption)

    # One step -------------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        batch = self._batch()
        rate = learning_rate(self.step, self.total, self.job.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        metrics = self.job.objective(self.network, batch)
        self.fabric.backward(metrics["loss"])
        self.updater.step()
        self.optimizer.zero_grad(set_to_none=True)
        project_(self.model)
        if self.average is not None:
            update_average(self.average, self.model, decay=self.job.optimizer.ema, step=self.step)
        self.meter.add(metrics)
        self.step += 1

    def _batch(self) -> Batch:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self._plan is None or self._planned_epoch != epoch:
            self._planned_epoch = epoch
            self._plan = epoch_plan(
                len(self.tensors[0]),
                batch_size=self.job.batch_size,
                seed=self.job.seed,
                epoch=epoch,
                rank=self.fabric.global_rank,
                world_size=self.fabric.world_size,
                max_shift=self.job.max_shift,
                device=self.fabric.device,
            )
        index = self._plan.index[position]
        inputs, *others = (tensor[index] for tensor in self.tensors)
        if self._plan.shift is not None:
            inputs = shift_images(inputs, self._plan.shift[position])
        return (inputs, *others)

    # Between steps --------------------------------------------------------------------------------------------------

    def _log_training(self, reporter: Reporter) -> None:
        values = self.meter.values()
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(values)
            values = values / self.fabric.world_size
        rows = values.cpu().double()
        first = self.step - len(rows)
        for offset, row in enumerate(rows.tolist()):
            for name, value in zip(self.meter.names, row, strict=True):
                if not math.isfinite(value):
                    leave(
                        self.fabric,
                        UserError(
                            f"training diverged: {name} is {value} at step {first + offset + 1} of {self.total}; "
                            "the last good checkpoint is kept (try a smaller --lr)"
                        ),
                    )
        now = time.monotonic()
        line = {
            **self._line("train"),
            **dict(zip(self.meter.names, rows.mean(dim=0).tolist(), strict=True)),
            "lr": learning_rate(self.step - 1, self.total, self.job.optimizer),
            "examples_per_second": round(len(rows) * self.job.batch_size / max(now - self._logged, 1e-9), 1),
        }
        self._write(line)
        self.meter.reset()
        self._logged = now
        reporter.note(_summary(line))

    def _log_validation(self, reporter: Reporter) -> None:
        epoch = self.step // self.steps_per_epoch
        if self.fabric.global_rank != 0 or (epoch % self.job.validate_every and self.step != self.total):
            return
        figures = self.job.validate(self.evaluated)
        if figures:
            self._write({**self._line("valid"), **figures})
            reporter.line(f"epoch {epoch} of {self.job.optimizer.epochs}, held-out {_summary(figures)}")
        self._logged = time.monotonic()

    def _line(self, kind: str) -> dict[str, Any]:
        epoch = -(-self.step // self.steps_per_epoch)
        return {"step": self.step, "epoch": epoch, "kind": kind, "seconds": round(self.seconds(), 3)}

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.log is not None:
            self.log.write(line)

    def _save_or_stop(self, interruption: Interruption) -> None:
        """Save when it is time, when training is done, and when a signal came; all processes decide alike."""
        due = time.monotonic() - self._saved >= self.engine.checkpoint_seconds or self.step == self.total
        signal_number, save = interruption.signal_number, int(due)
        if self.fabric.world_size > 1:
            flags = torch.tensor(
                [signal_number, save if self.fabric.global_rank == 0 else 0], device=self.fabric.device
            )
            torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
            signal_number, save = flags.tolist()
        if save or signal_number:
            self._save()
        if signal_number:
            leave(self.fabric, Interrupted(signal_number))

    # Checkpoints ----------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        random = pack_random_state(self.fabric.global_rank)
        if self.fabric.world_size > 1:
            gathered: list[dict[str, Tensor]] = [{}] * self.fabric.world_size
            torch.distributed.all_gather_object(gathered, random)
            random = {name: state for each in gathered for name, state in each.items()}
        on_first(self.fabric, lambda: self._write_checkpoint(random))
        self._saved = time.monotonic()

    def _write_checkpoint(self, random: dict[str, Tensor]) -> None:
        assert self.log is not None
        trainer = pack(self.optimizer, self.average, self.meter) | random
        counters = Counters(step=self.step, seconds=self.seconds(), metrics_bytes=self.log.sync(), data=self.job.data)
        checkpoint = Checkpoint(counters=counters, model=self.model.state_dict(), trainer=trainer)
        save_checkpoint(self.folder.checkpoints, checkpoint)

    def _check(self, resume: Checkpoint) -> None:
        if resume.counters.data != self.job.data:
            raise UserError(
                f"the training data are not those that {self.folder.path} was started with, so it cannot be resumed"
            )

    def _restore(self, resume: Checkpoint) -> int:
        unpack(resume.trainer, self.optimizer, self.average, self.meter, rank=self.fabric.global_rank)
        self.step = resume.counters.step
        self._seconds_before = resume.counters.seconds
        return resume.counters.metrics_bytes

    def _open_log(self, keep_bytes: int) -> MetricsLog | None:
        if self.fabric.global_rank != 0:
            return None
        return MetricsLog(self.folder.metrics, keep_bytes=keep_bytes)


def _summary(figures: Mapping[str, Any]) -> str:
    shown = [f"{name} {figures[name]:.4g}" for name in ("loss", "accuracy") if name in figures]
    return " ".join(shown)
