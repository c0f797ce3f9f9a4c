"""Batches of pictures that are decoded as they are needed: each a function of seed and step alone, on every number of
processes and workers."""

from collections.abc import Iterator

import torch
from lightning_fabric import Fabric
from torch import Tensor

from taut.data import as_inputs
from taut.data.streaming import Decoded, DecodedBatch, Key, decoded_batches
from taut.errors import UserError
from taut.training.batches import Batch, Batches
from taut.training.engine import together
from taut.training.phases import PhasePlan
from taut.training.seeding import stream


class StreamedBatches(Batches):
    """Views of pictures in [0, 1] and their labels, of the sizes of a plan of phases.

    Every process decodes its share alone. One that meets a damaged picture goes on with a black batch, since the others
    wait for it, until all are asked to `check`: before anything is saved.
    """

    def __init__(
        self,
        pictures: Decoded,
        plan: PhasePlan,
        *,
        seed: int,
        workers: int,
        channels_last: bool,
        fabric: Fabric,
    ) -> None:
        """`workers` processes decode for each process that trains; with 0 it does so itself."""
        self.pictures, self.plan, self.seed, self.workers = pictures, plan, seed, workers
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.fabric = fabric
        self.steps_per_epoch, self.steps = plan.steps_of_first, plan.steps
        self._coming: Iterator[DecodedBatch] | None = None
        self._next = -1
        self._wrong = ""

    def batch(self, step: int) -> Batch:
        if self._coming is None or step != self._next:
            pinned = self.fabric.device.type == "cuda"
            self._coming = decoded_batches(self.pictures, self._keys_from(step), workers=self.workers, pinned=pinned)
        pixels, labels, wrong = next(self._coming)
        self._next = step + 1
        if self._next == self.steps:
            self._coming = None  # ends the workers
        self._wrong = self._wrong or wrong
        if self.fabric.world_size == 1:
            self.check()
        device = self.fabric.device
        inputs = as_inputs(pixels.to(device, non_blocking=True)).to(torch.get_default_dtype())
        return inputs.contiguous(memory_format=self.layout), labels.to(device, non_blocking=True)

    def size(self, step: int) -> int:
        return self.plan.phase(self.epoch(step)).batch_size

    def epoch(self, step: int) -> int:
        return self.plan.place(step)[0]

    def progress(self, step: int) -> int:
        return self.plan.progress(step)

    def check(self) -> None:
        together(self.fabric, self._raise)

    def _raise(self) -> None:
        if self._wrong:
            raise UserError(self._wrong)

    def _keys_from(self, step: int) -> Iterator[list[Key]]:
        """Keys of this process's share of every update from `step` to the last, epoch after epoch."""
        first, position = self.plan.place(step)
        for epoch in range(first, self.plan.epochs):
            phase = self.plan.phase(epoch)
            order, seeds = epoch_draws(self.pictures, seed=self.seed, epoch=epoch)
            local = phase.batch_size // self.fabric.world_size
            for number in range(position, self.plan.steps_in(epoch)):
                start = number * phase.batch_size + self.fabric.global_rank * local
                share = order[start : start + local]
                yield [(row, phase.size, view) for row, view in zip(share.tolist(), seeds[share].tolist(), strict=True)]
            position = 0


def epoch_draws(pictures: Decoded, *, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
    """The order of the pictures in an epoch, and the seed of the view of each picture, by its index."""
    order = pictures.source.order(stream(seed, "order", epoch))
    return order, torch.randint(2**62, (len(order),), generator=stream(seed, "view", epoch))
