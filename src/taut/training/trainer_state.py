"""Everything that training carries from step to step besides the model, as one flat dictionary of tensors, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from taut.training.metrics import Meter
from taut.training.optimizer_state import optimizer_tensors, restore_optimizer
from taut.training.seeding import random_state, set_random_state


def pack(
    optimizers: Mapping[str, torch.optim.Optimizer], averages: Mapping[str, nn.Module], meter: Meter
) -> dict[str, Tensor]:
    """State of the optimizers, the averaged parameters, and the metrics that are not logged yet."""
    tensors: dict[str, Tensor] = {}
    for owner, optimizer in optimizers.items():
        tensors |= {f"optimizer.{owner}.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
    for owner, average in averages.items():
        tensors |= {f"average.{owner}.{name}": tensor for name, tensor in average.state_dict().items()}
    if meter.count:
        # A column per metric, by position and name, so that the names need no other place.
        columns = meter.values().T
        tensors |= {f"meter.{i}.{name}": columns[i] for i, name in enumerate(meter.names)}
    return tensors


def pack_random_state(rank: int) -> dict[str, Tensor]:
    """State of the global random numbers of process `rank`, under names of its own."""
    return {f"random.{rank}.{name}": state for name, state in random_state().items()}


def unpack(
    tensors: Mapping[str, Tensor],
    optimizers: Mapping[str, torch.optim.Optimizer],
    averages: Mapping[str, nn.Module],
    meter: Meter,
    *,
    rank: int,
) -> None:
    """Put back what `pack` and `pack_random_state` returned."""
    for owner, optimizer in optimizers.items():
        restore_optimizer(optimizer, _under(f"optimizer.{owner}.", tensors))
    for owner, average in averages.items():
        average.load_state_dict(_under(f"average.{owner}.", tensors))
    columns = {
        key.split(".", 1)[0]: (key.split(".", 1)[1], tensor) for key, tensor in _under("meter.", tensors).items()
    }
    if columns:
        ordered = [columns[str(i)] for i in range(len(columns))]
        meter.restore(torch.stack([tensor for _, tensor in ordered], dim=1), [name for name, _ in ordered])
    mine = _under(f"random.{rank}.", tensors)
    if mine:
        set_random_state(mine)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
