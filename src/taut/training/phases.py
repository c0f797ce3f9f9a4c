"""Phases of a run: the size of the pictures, and of the batches, by the share of the epochs that is done."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from taut.errors import UsageError
from taut.training.sampling import steps_per_epoch


@dataclass(frozen=True, kw_only=True)
class Phase:
    """From which share of the epochs on pictures have a size, and batches another."""

    start: float
    size: int
    batch_size: int


def parse_phases(text: str, batch_size: int) -> tuple[Phase, ...]:
    """START:SIZE or START:SIZE:BATCH, separated by commas; without BATCH the batches are those of `batch_size`.

    Raises:
        UsageError: What is not such a list, or does not begin at 0 and grow.

    Example:
        >>> parse_phases("0:128:512,0.4:224", 256)[1]
        Phase(start=0.4, size=224, batch_size=256)
    """
    phases = tuple(_phase(part, batch_size) for part in text.split(","))
    starts = [phase.start for phase in phases]
    growing = all(low < high for low, high in pairwise((*starts, 1.0)))  # false for NaN too
    if starts[0] != 0 or not growing:
        raise UsageError(f"phases must begin at 0 and have growing starts below 1, got {text!r}")
    return phases


def _phase(text: str, batch_size: int) -> Phase:
    start, size, batch = [*text.strip().split(":"), str(batch_size), ""][:3]
    try:
        phase = Phase(start=float(start), size=int(size), batch_size=int(batch))
    except ValueError:
        phase = None
    if phase is None or text.count(":") not in (1, 2) or min(phase.size, phase.batch_size) < 1:
        raise UsageError(
            f"phases are START:SIZE or START:SIZE:BATCH, such as 0:128,0.4:224, with sizes from 1 on, got {text!r}"
        )
    return phase


class PhasePlan:
    """Which phase each epoch is in, and the steps of each epoch.

    An epoch belongs to the last phase whose start is not past the share of the epochs done before it.
    """

    def __init__(self, phases: Sequence[Phase], *, samples: int, epochs: int, world_size: int) -> None:
        """UsageError for batches that a phase cannot have, and for a phase that begins after the last epoch has."""
        self.phases, self.epochs = tuple(phases), epochs
        for phase in phases:
            if phase.batch_size % world_size:
                raise UsageError(
                    f"batch-size is the global one and must be a multiple of the {world_size} processes, "
                    f"got {phase.batch_size}"
                )
            if phase.start * epochs > epochs - 1:
                raise UsageError(
                    f"a phase that starts at {phase.start:g} begins after the last of {epochs} epochs has: "
                    "phases change between epochs"
                )
        starts = [phase.start * epochs for phase in phases]
        self._of_epoch = [self.phases[bisect_right(starts, epoch) - 1] for epoch in range(epochs)]
        steps = [steps_per_epoch(samples, phase.batch_size) for phase in self._of_epoch]
        self._firsts = [0]
        for count in steps:
            self._firsts.append(self._firsts[-1] + count)
        self.steps_of_first = steps[0]
        self.steps = self._firsts[-1]

    def place(self, step: int) -> tuple[int, int]:
        """Epoch of update `step`, and its number within it, both from 0."""
        epoch = min(bisect_right(self._firsts, step) - 1, self.epochs - 1)
        return epoch, step - self._firsts[epoch]

    def phase(self, epoch: int) -> Phase:
        """Phase of an epoch."""
        return self._of_epoch[epoch]

    def steps_in(self, epoch: int) -> int:
        """Updates of an epoch."""
        return self._firsts[epoch + 1] - self._firsts[epoch]

    def progress(self, step: int) -> int:
        """Share of the epochs done before update `step`, in units of a step: the step itself where all epochs are
        alike."""
        epoch, position = self.place(step)
        return (epoch * self.steps_in(epoch) + position) * self.steps // (self.epochs * self.steps_in(epoch))
