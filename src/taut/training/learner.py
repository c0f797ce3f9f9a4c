"""What the training loop needs of anything that is trained: one update at a time, and all that a checkpoint keeps."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Learner(ABC):
    """One or several networks with their optimizers. `update(step)` must follow from the state below, the step and the
    seed alone: then a run that was interrupted ends as if it had not been."""

    model: nn.Module
    """All that is trained: its parameters and buffers are the model of a checkpoint."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    """By name; their state is kept."""
    averages: Mapping[str, nn.Module]
    """Averages over time of parts of the model, by name; kept too."""
    data: str
    """Fingerprint of what is learned from: a checkpoint continues only on the same."""
    steps: int
    """Updates in all."""
    batch_size: int
    """Samples per update, over all processes, for the rate that is shown; see `samples`."""
    steps_per_epoch: int
    """Updates between two validations; see `epoch`."""
    validate_every: int
    """Epochs between two validations; the last epoch always ends with one."""

    @abstractmethod
    def update(self, step: int) -> Mapping[str, Tensor]:
        """Do update `step` (from 0); returns scalars to log, "loss" among them, the same names each time."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """Learning rate of update `step`, for the log."""

    @abstractmethod
    def validate(self, step: int) -> dict[str, Any]:
        """Figures after `step` updates, for metrics.jsonl; called on the first process alone."""

    def samples(self, step: int) -> int:
        """Samples of update `step`, over all processes."""
        return self.batch_size

    def epoch(self, step: int) -> int:
        """Epoch (from 0) of update `step`."""
        return step // self.steps_per_epoch

    def check(self) -> None:
        """Raise, on all processes together, what went wrong on any of them since the last line of the log."""
        return
