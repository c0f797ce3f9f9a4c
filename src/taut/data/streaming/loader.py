"""Batches of decoded pictures, made by worker processes ahead of time, in the order in which they are asked for."""

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from taut.data.streaming.pictures import CENTRE, Decoded, DecodedBatch, Key
from taut.errors import UserError


class _Planned(Sampler[Sequence[Key]]):
    def __init__(self, plan: Iterable[Sequence[Key]]) -> None:
        self.plan = plan

    def __iter__(self) -> Iterator[Sequence[Key]]:
        return iter(self.plan)


def decoded_batches(
    pictures: Decoded, plan: Iterable[Sequence[Key]], *, workers: int, pinned: bool = False
) -> Iterator[DecodedBatch]:
    """The batches of `plan` in its order. Global random numbers are neither used nor changed.

    Args:
        pictures: The split.
        plan: Keys of the pictures of each batch.
        workers: Processes that decode; 0 decodes here.
        pinned: Whether batches lie in memory from which a GPU copies by itself.
    """
    loader = DataLoader(
        pictures,
        sampler=_Planned(plan),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pinned,
        worker_init_fn=_apart,
        generator=torch.Generator(),
        collate_fn=_as_it_is,  # not that of torch, which takes strings apart
    )
    return iter(loader)


def centre_batches(
    pictures: Decoded, rows: Int64[Tensor, " pictures"], *, size: int, batch_size: int, workers: int
) -> Iterator[DecodedBatch]:
    """The centres of the pictures `rows`, in their order, for evaluation. Raises UserError for one that is damaged."""
    plan = ([(row, size, CENTRE) for row in part.tolist()] for part in rows.split(batch_size))
    for pixels, labels, wrong in decoded_batches(pictures, plan, workers=workers):
        if wrong:
            raise UserError(wrong)
        yield pixels, labels, wrong


def _apart(worker: int) -> None:
    """A signal to the whole group of processes is for the one that trains: it saves, and then ends its workers."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
