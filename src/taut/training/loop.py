"""The training loop: updates, log lines, validations and checkpoints, without waiting for the device between logs."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from taut.errors import UserError
from taut.training.checkpoint import Checkpoint, Counters, has_checkpoint, save_checkpoint
from taut.training.engine import EngineConfig, leave, on_first
from taut.training.interrupt import Interrupted, Interruption
from taut.training.learner import Learner
from taut.training.metrics import Meter, MetricsLog
from taut.training.progress import Reporter, progress
from taut.training.run_folder import RunFolder
from taut.training.trainer_state import pack, pack_random_state, unpack

_SHOWN = ("loss", "accuracy", "estimate", "psnr")


def run(
    learner: Learner,
    *,
    fabric: Fabric,
    engine: EngineConfig,
    folder: RunFolder,
    interruption: Interruption,
    resume: Checkpoint | None = None,
) -> float:
    """Train `learner` to the end, from `resume` where it is given; returns the seconds that it took in all.

    Raises:
        UserError: A metric or a weight became infinite or NaN; the last checkpoint is kept.
        Interrupted: SIGINT or SIGTERM arrived; a checkpoint of the last finished step was written.
    """
    loop = _Loop(learner, fabric, engine, folder, resume)
    with (
        interruption.deferred(),
        progress("training", learner.steps, start=loop.step, show=fabric.global_rank == 0) as reporter,
    ):
        try:
            loop.run(reporter, interruption)
        finally:
            loop.close()
    if interruption.signal_number:
        leave(fabric, Interrupted(interruption.signal_number))
    return loop.seconds()


class _Loop:
    """State of a training run between two steps."""

    def __init__(
        self, learner: Learner, fabric: Fabric, engine: EngineConfig, folder: RunFolder, resume: Checkpoint | None
    ) -> None:
        self.learner, self.fabric, self.engine, self.folder = learner, fabric, engine, folder
        self.meter = Meter(engine.log_every, fabric.device)
        self.step = 0
        self._seconds_before = 0.0
        kept = 0 if resume is None else self._restore(resume)
        self.log = self._open_log(kept)
        self._started = self._saved = self._logged = time.monotonic()

    def seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def run(self, reporter: Reporter, interruption: Interruption) -> None:
        while self.step < self.learner.steps:
            self.meter.add(self.learner.update(self.step))
            self.step += 1
            reporter.advance(self.step)
            epoch_done = self.step == self.learner.steps or self.learner.epoch(self.step) != self._epoch() - 1
            boundary = epoch_done or self.meter.count == self.engine.log_every
            if boundary:
                self._log_training(reporter)
                if epoch_done:
                    self._log_validation(reporter)
            if boundary or (self.fabric.world_size == 1 and interruption.signal_number):
                self._save_or_stop(interruption)

    # Between steps --------------------------------------------------------------------------------------------------

    def _log_training(self, reporter: Reporter) -> None:
        self.learner.check()
        values = self.meter.values()
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(values)
            values = values / self.fabric.world_size
        rows = values.cpu().double()
        self._refuse_infinities(rows)
        now = time.monotonic()
        examples = len(rows) * self.learner.samples(self.step - 1)
        line = {
            **self._line("train"),
            **dict(zip(self.meter.names, rows.mean(dim=0).tolist(), strict=True)),
            "lr": self.learner.rate(self.step - 1),
            "examples_per_second": round(examples / max(now - self._logged, 1e-9), 1),
        }
        self._write(line)
        self.meter.reset()
        self._logged = now
        reporter.note(_summary(line))

    def _refuse_infinities(self, rows: Tensor) -> None:
        first = self.step - len(rows)
        for offset, row in enumerate(rows.tolist()):
            for name, value in zip(self.meter.names, row, strict=True):
                if not math.isfinite(value):
                    leave(self.fabric, self._diverged(name, value, first + offset + 1))

    def _diverged(self, name: str, value: float, step: int) -> UserError:
        kept = "the last good checkpoint is kept; " if has_checkpoint(self.folder.checkpoints) else ""
        return UserError(
            f"training diverged: {name} is {value} at step {step} of {self.learner.steps} ({kept}try a smaller --lr)"
        )

    def _log_validation(self, reporter: Reporter) -> None:
        learner = self.learner
        epochs, epoch = learner.epoch(learner.steps - 1) + 1, self._epoch()
        if self.fabric.global_rank != 0 or (epoch % learner.validate_every and self.step != learner.steps):
            return
        figures = learner.validate(self.step)
        for name, value in figures.items():
            if isinstance(value, float) and not math.isfinite(value):
                if self.fabric.world_size == 1:
                    raise self._diverged(f"held-out {name}", value, self.step)
                figures = {**figures, name: None}  # the other processes are told by the next line of training
        if figures:
            self._write({**self._line("valid"), **figures})
            reporter.line(f"epoch {epoch} of {epochs}, held-out {_summary(figures)}")
        self._logged = time.monotonic()

    def _epoch(self) -> int:
        """Number, from 1, of the epoch of the last update."""
        return self.learner.epoch(self.step - 1) + 1

    def _line(self, kind: str) -> dict[str, Any]:
        return {"step": self.step, "epoch": self._epoch(), "kind": kind, "seconds": round(self.seconds(), 3)}

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.log is not None:
            self.log.write(line)

    def _save_or_stop(self, interruption: Interruption) -> None:
        """Save when it is time, when training is done, and when a signal came; all processes decide alike."""
        due = time.monotonic() - self._saved >= self.engine.checkpoint_seconds or self.step == self.learner.steps
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
        learner = self.learner
        trainer = pack(learner.optimizers, learner.averages, self.meter) | random
        counters = Counters(step=self.step, seconds=self.seconds(), metrics_bytes=self.log.sync(), data=learner.data)
        checkpoint = Checkpoint(counters=counters, model=learner.model.state_dict(), trainer=trainer)
        save_checkpoint(self.folder.checkpoints, checkpoint)

    def _restore(self, resume: Checkpoint) -> int:
        """Put everything back; returns the length that metrics.jsonl had."""
        learner = self.learner
        if resume.counters.data != learner.data:
            raise UserError(
                f"the training data are not those that {self.folder.path} was started with, so it cannot be resumed"
            )
        learner.model.load_state_dict(resume.model)
        unpack(resume.trainer, learner.optimizers, learner.averages, self.meter, rank=self.fabric.global_rank)
        self.step = resume.counters.step
        self._seconds_before = resume.counters.seconds
        return resume.counters.metrics_bytes

    def _open_log(self, keep_bytes: int) -> MetricsLog | None:
        if self.fabric.global_rank != 0:
            return None
        return MetricsLog(self.folder.metrics, keep_bytes=keep_bytes)


def _summary(figures: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {figures[name]:.4g}" for name in _SHOWN if figures.get(name) is not None)
