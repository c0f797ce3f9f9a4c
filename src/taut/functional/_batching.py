"""One call for many matrices: what torch.vmap does with an operator that takes batches of matrices as it is."""

from itertools import repeat
from typing import Any

import torch
from torch import Tensor


def register_batching(operator: torch.library.CustomOpDef) -> None:
    """Let torch.vmap call `operator` once, on a batch, where it would else call it once for each matrix.

    `operator` takes numbers and tensors, and returns tensors, with any number of leading batch dimensions, and treats
    each matrix by itself but for NaN and infinity: where one matrix has them, the matrices are computed one after the
    other, so that the others do not notice.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Tensor | int) -> tuple[Any, Any]:
        batched = [
            _in_front(argument, dim, info.batch_size) if isinstance(argument, Tensor) else argument
            for argument, dim in zip(arguments, in_dims, strict=True)
        ]
        if all(bool(torch.isfinite(tensor).all()) for tensor in batched if isinstance(tensor, Tensor)):
            found = operator(*batched)
        else:
            rows = (argument if isinstance(argument, Tensor) else repeat(argument) for argument in batched)
            each = [operator(*matrices) for matrices in zip(*rows, strict=False)]
            alone = isinstance(each[0], Tensor)
            found = torch.stack(each) if alone else tuple(map(torch.stack, zip(*each, strict=True)))
        return found, 0 if isinstance(found, Tensor) else (0,) * len(found)

    operator.register_vmap(rule)


def _in_front(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
