"""Where the batches of a training run come from, and the tensors of a data set that is held on the device."""

from abc import ABC, abstractmethod

from lightning_fabric import Fabric
from torch import Tensor

from taut.data.dataset import as_inputs
from taut.training.augment import Augmentation
from taut.training.sampling import EpochPlan, epoch_plan, steps_per_epoch

Batch = tuple[Tensor, ...]


class Batches(ABC):
    """This process's share of every batch of a run: a pure function of the step, so that a run can go on anywhere."""

    steps_per_epoch: int
    """Updates of the first epoch; of every epoch, where they do not differ."""
    steps: int
    """Updates in all."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The share of update `step` (from 0), on the device; steps are asked for in turn, from any first one."""

    @abstractmethod
    def size(self, step: int) -> int:
        """Samples of update `step`, over all processes."""

    @abstractmethod
    def epoch(self, step: int) -> int:
        """Epoch (from 0) of update `step`."""

    @abstractmethod
    def progress(self, step: int) -> int:
        """Place of update `step` in the schedule of the learning rate, from 0 to `steps`: the share of the epochs that
        is done, in units of a step."""

    def check(self) -> None:
        """Raise, on all processes together, what went wrong on any of them since it was last asked for."""
        return


class HeldBatches(Batches):
    """Rows of tensors that are held on the device: one seeded plan per epoch. Bytes become inputs in the batch."""

    def __init__(
        self, tensors: Batch, *, batch_size: int, epochs: int, seed: int, augmentation: Augmentation, fabric: Fabric
    ) -> None:
        """`augmentation` changes the first tensor, the pictures."""
        self.tensors = tuple(tensor.to(fabric.device) for tensor in tensors)
        self.batch_size, self.seed, self.augmentation, self.fabric = batch_size, seed, augmentation, fabric
        self.steps_per_epoch = steps_per_epoch(len(self.tensors[0]), batch_size)
        self.steps = self.steps_per_epoch * epochs
        self._plan: EpochPlan | None = None
        self._planned_epoch = -1

    def size(self, step: int) -> int:
        return self.batch_size

    def epoch(self, step: int) -> int:
        return step // self.steps_per_epoch

    def progress(self, step: int) -> int:
        return step

    def batch(self, step: int) -> Batch:
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._plan is None or self._planned_epoch != epoch:
            self._planned_epoch = epoch
            self._plan = epoch_plan(
                len(self.tensors[0]),
                batch_size=self.batch_size,
                seed=self.seed,
                epoch=epoch,
                rank=self.fabric.global_rank,
                world_size=self.fabric.world_size,
                augmentation=self.augmentation,
                device=self.fabric.device,
            )
        index = self._plan.index[position]
        inputs, *others = (tensor[index] for tensor in self.tensors)
        inputs = as_inputs(inputs)
        if self._plan.views is not None:
            inputs = self._plan.views.of(position).apply(inputs)
        return (inputs, *others)
