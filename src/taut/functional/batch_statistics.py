"""Mean and variance over the batch and all places of each channel, over all processes where there are several."""

from typing import Any

import torch
from torch import Tensor, distributed, nn

from taut.functional._precision import at_least_float32


def batch_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean of each channel (dimension 1) over the joint batch of all processes, and the number of entries averaged.

    Processes count by how many entries they have, so that unequal batches give the mean of the joint one. The gradient
    flows through the sums of all processes.

    >>> import torch
    >>> batch_mean(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    (tensor([2., 0.]), tensor(2.))
    """
    x, places = at_least_float32(x), _places(x)
    count = torch.full((1,), float(x.numel() // x.shape[1]), dtype=x.dtype, device=x.device)
    total = _summed(torch.cat((x.sum(places), count)))
    return total[:-1] / total[-1], total[-1]


def batch_variance(x: Tensor, mean: Tensor, count: Tensor) -> Tensor:
    """Mean square distance of each channel from `mean`, over the joint batch of all processes (biased: over count)."""
    x = at_least_float32(x)
    return _summed((x - along_channels(mean, x)).square().sum(_places(x))) / count


def along_channels(values: Tensor, x: Any) -> Tensor:
    """One value per channel, shaped so that it applies to dimension 1 of `x`."""
    return values.reshape(1, -1, *(1,) * (x.dim() - 2))


def _places(x: Tensor) -> list[int]:
    return [dim for dim in range(x.dim()) if dim != 1]


def _summed(values: Tensor) -> Tensor:
    """Sum over the processes, with its gradient; `values` itself where there is one process."""
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return values
    return _SumOverProcesses.apply(values)  # type: ignore[no-any-return]


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce, whose adjoint is itself."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        total = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        total = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def keeps_statistics(module: nn.Module) -> bool:
    """Whether buffers of `module` itself are statistics of the batches of training, as those of torch's batch norms."""
    return "num_batches_tracked" in module._buffers
