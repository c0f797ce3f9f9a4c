r"""Networks divided by their own proven constant."""

import math

import torch
from torch import nn

from taut.certify import lipschitz_bound
from taut.certify.rounding import div_down
from taut.nn import Scale, fold

_ATTEMPTS = 8
"""Of lowering the factor by one float32; one is enough unless rounding goes another way in the longer product."""


def nonexpansive(network: nn.Module) -> nn.Module:
    r"""N / max(1, K) for the proven l2 constant K of N, so that `certify.lipschitz_bound` of it is <= 1 exactly.

    The network is folded; orthogonal layers come out at 1.000005 or so, by the rounding of their stored weights, and
    theorems about nonexpansive maps ask for 1. What is divided is the output, by a number that float32 holds exactly,
    rounded outward; a network with K <= 1 stays as it is.

    Raises TypeError that names a part of the network of which no bound is known; ValueError for NaN or infinite
    weights, and for a bound that is infinite.

    >>> conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> lipschitz_bound(nonexpansive(conv)) <= 1.0
    True
    """
    folded = fold(network).eval()
    bound = lipschitz_bound(folded)
    if bound <= 1.0:
        return folded
    if not math.isfinite(bound):
        raise ValueError(f"the network must have a finite Lipschitz bound, got {bound}")
    factor = _float32_down(div_down(1.0, bound))
    for _ in range(_ATTEMPTS):
        if factor == 0.0:
            raise ValueError(f"the network's Lipschitz bound must be at most 1e38, got {bound:g}")
        divided = nn.Sequential(folded, Scale(factor).fold()).eval()
        if lipschitz_bound(divided) <= 1.0:
            return divided
        factor = _before(factor)
    raise ValueError(f"no factor near {factor:g} brings the proven bound {bound:g} to 1")


def _float32_down(value: float) -> float:
    """The largest float32 that is not above a positive number."""
    nearest = float(torch.tensor(value, dtype=torch.float32))
    return nearest if nearest <= value else _before(nearest)


def _before(value: float) -> float:
    return float(torch.nextafter(torch.tensor(value, dtype=torch.float32), torch.tensor(0.0)))
