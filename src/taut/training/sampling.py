"""Which samples make up which batch: a pure function of seed and epoch, the same for every number of processes."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from taut.errors import UsageError
from taut.training.seeding import stream


@dataclass(frozen=True)
class EpochPlan:
    """One rank's share of every global batch of one epoch, drawn up front so that a step only indexes."""

    index: Int64[Tensor, "steps local"]
    """Rows of the data set, one line per step."""
    shift: Int64[Tensor, "steps local 2"] | None
    """Vertical and horizontal displacement in pixels of each picture, or None."""


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Number of whole global batches in an epoch. Raises UsageError when there is none.

    Example:
        >>> steps_per_epoch(1347, 128)
        10
    """
    if batch_size < 1:
        raise UsageError(f"batch-size must be at least 1, got {batch_size}")
    if batch_size > samples:
        raise UsageError(f"batch-size {batch_size} is larger than the training split of {samples} samples")
    return samples // batch_size


def check_batches(samples: int, batch_size: int, world_size: int) -> None:
    """Raise UsageError unless `samples` make at least one global batch that divides evenly among the processes."""
    steps_per_epoch(samples, batch_size)
    if batch_size % world_size:
        raise UsageError(
            f"batch-size is the global one and must be a multiple of the {world_size} processes, got {batch_size}"
        )


def epoch_plan(
    samples: int,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    max_shift: int = 0,
    device: torch.device | str = "cpu",
) -> EpochPlan:
    """Rank `rank`'s plan of epoch `epoch`: a permutation of all samples cut into global batches, each cut into equal
    slices.

    The incomplete last batch is dropped; since each epoch permutes anew, no sample is dropped for long.

    Args:
        samples: Size of the training split.
        batch_size: Global batch size, a multiple of `world_size`.
        seed: Seed of the run.
        epoch: Index of the epoch, from 0.
        rank: This process.
        world_size: Number of processes.
        max_shift: Pictures move by up to this many pixels in each direction; 0 for none.
        device: Where the plan is kept.

    Raises:
        UsageError: `batch_size` is larger than `samples` or does not divide by `world_size`.

    Example:
        >>> epoch_plan(5, batch_size=2, seed=0, epoch=0).index.shape
        torch.Size([2, 2])
    """
    check_batches(samples, batch_size, world_size)
    steps = steps_per_epoch(samples, batch_size)
    local = batch_size // world_size
    mine = slice(rank * local, (rank + 1) * local)
    order = torch.randperm(samples, generator=stream(seed, "order", epoch))[: steps * batch_size]
    index = order.view(steps, batch_size)[:, mine].contiguous().to(device)
    shift = None
    if max_shift:
        drawn = torch.randint(-max_shift, max_shift + 1, (steps, batch_size, 2), generator=stream(seed, "shift", epoch))
        shift = drawn[:, mine].contiguous().to(device)
    return EpochPlan(index, shift)
