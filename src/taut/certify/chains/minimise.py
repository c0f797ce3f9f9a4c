"""Unconstrained minimisation of a smooth function that is infinite outside of an open set."""

import math
from collections import deque
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

_MEMORY = 12
_DECREASE = 1e-4
_LONGEST = 1.0
"""No entry moves by more in one step."""
_PATIENCE, _STALLED = 10, 1e-5
"""It ends where so many steps together gained less than this: values are logarithms."""


def minimise(
    function: Callable[[Tensor], tuple[float, Tensor]], start: Float[Tensor, " n"], *, evaluations: int
) -> Float[Tensor, " n"]:
    """A point at which the function, which returns value and gradient, is smaller than at the start, or the start.

    L-BFGS (Liu and Nocedal, 1989) with backtracking; infinite values are stepped back from like large ones.

    >>> import torch
    >>> point = minimise(lambda x: (float(x.square().sum()), 2.0 * x), torch.ones(2), evaluations=10)
    >>> bool(point.norm() < 1e-6)
    True
    """
    point = start
    value, gradient = function(point)
    pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=_MEMORY)
    used, step = 1, 1.0
    reached: deque[float] = deque([math.inf], maxlen=_PATIENCE)
    while used < evaluations and math.isfinite(value) and not reached[0] - value < _STALLED:
        direction = _direction(gradient, pairs)
        slope = float(direction @ gradient)
        if not slope < 0.0:
            break
        step = min(1.0, _LONGEST / float(direction.abs().max()))
        ahead, found, following = point, math.inf, gradient
        while used < evaluations:
            ahead = point + step * direction
            found, following = function(ahead)
            used += 1
            if found <= value + _DECREASE * step * slope:
                break
            step *= 0.3
        if not found < value:
            break
        if float((ahead - point) @ (following - gradient)) > 0.0:
            pairs.append((ahead - point, following - gradient))
        reached.append(value)
        point, value, gradient = ahead, found, following
    return point


def _direction(gradient: Tensor, pairs: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """Minus the inverse Hessian, as the pairs of steps and changes of the gradient have it, times the gradient."""
    result, shares = gradient.clone(), []
    for move, change in reversed(pairs):
        share = (move @ result) / (move @ change)
        result -= share * change
        shares.append(share)
    if pairs:
        move, change = pairs[-1]
        result *= (move @ change) / (change @ change)
    else:
        result *= 0.3 / float(result.abs().max().clamp_min(1e-300))
    for (move, change), share in zip(pairs, reversed(shares), strict=True):
        result += move * (share - (change @ result) / (move @ change))
    return -result
