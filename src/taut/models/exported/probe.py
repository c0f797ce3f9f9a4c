"""One fixed input, and the logits there: whether a network that is built again is the one that was exported."""

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from taut.errors import UserError

_TOLERANCE = 1e-6
"""Relative to the largest logit, and absolute near 0: float64 sums in another order differ by far less, networks that
are built otherwise by far more."""


def probe_input(shape: Sequence[int]) -> Float64[Tensor, "1 *shape"]:
    """The same numbers in [0, 1] on every machine and in every version: entry k is (7919 k mod 1009) / 1008.

    >>> probe_input((3,)).mul(1008).round().tolist()
    [[0.0, 856.0, 703.0]]
    """
    entries = torch.arange(math.prod(shape), dtype=torch.int64)
    return ((entries * 7919) % 1009).double().div(1008).reshape(1, *shape)


@torch.no_grad()
def probe_logits(model: nn.Module, shape: Sequence[int]) -> tuple[float, ...]:
    """Logits of `model` at the probe's input, computed in float64 on a copy. UserError where they are not finite.

    >>> probe_logits(nn.Flatten(), (2,))
    (0.0, 0.8492063492063492)
    """
    logits = copy.deepcopy(model).cpu().double().eval()(probe_input(shape))
    if not bool(logits.isfinite().all()):
        raise UserError("the network computes logits that are not finite")
    return tuple(logits[0].tolist())


def agrees(found: Sequence[float], stated: Sequence[float]) -> bool:
    """Whether two tuples of logits are the same but for the order of sums.

    >>> agrees((1.0, 2.0), (1.0, 2.0 + 1e-9)), agrees((1.0, 2.0), (2.0, 1.0)), agrees((1.0, 2.0), (1.0,))
    (True, False, False)
    """
    near = _TOLERANCE * max(1.0, *map(abs, stated))
    return len(found) == len(stated) and all(abs(a - b) <= near for a, b in zip(found, stated, strict=True))
