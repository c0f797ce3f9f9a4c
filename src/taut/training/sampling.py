"""Which samples make up which batch: a pure function of seed and epoch, the same for every number of processes."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from taut.errors import UsageError
from taut.training.augment import Augmentation, Views
from taut.training.seeding import stream


@dataclass(frozen=True)
class EpochPlan:
    """One rank's share of every global batch of one epoch, drawn up front so that a step only indexes."""

    index: Int64[Tensor, "steps local"]
    """Rows of the data set, one line per step."""
    views: Views | None
    """What happens to each picture, or None."""


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
    augmentation: Augmentation | None = None,
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
        augmentation: How pictures are changed; None for not at all.
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
    if augmentation is None or not augmentation.active:
        return EpochPlan(index, None)
    views = augmentation.draw(steps, batch_size, seed=seed, epoch=epoch)
    return EpochPlan(index, views.of(slice(None), mine).to(device))
