r"""The functions that are fitted: 1-Lipschitz on [-1, 1], with their mean over the interval removed exactly.

`f1`: slopes 1 and -1 in turn, 9 random knots. `f2`: slopes 1, 0 and -1, 9 random knots. `f3`: cos(7 pi x)/(7 pi).
`f4`: x + 2t below -t, -x between, x - 2t above t, with t = 1/20; `f4-sawtooth`: the same continued with period 4t, so
that the slope changes 20 times. `random-spline`: slopes uniform in [-1, 1], 9 random knots.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.training.seeding import stream

_KNOTS = 9
_THRESHOLD = 1 / 20
INTERVAL = (-1.0, 1.0)

Function = Callable[[Tensor], Tensor]


def names() -> tuple[str, ...]:
    """All that `target` knows.

    >>> names()
    ('f1', 'f2', 'f3', 'f4', 'f4-sawtooth', 'random-spline')
    """
    return ("f1", "f2", "f3", "f4", "f4-sawtooth", "random-spline")


def target(name: str, *, seed: int = 0) -> Function:
    """The function called `name`, 1-Lipschitz on [-1, 1] with mean 0 over it; `seed` chooses random knots and slopes.

    It takes float64 tensors of any shape. Errors: ValueError for an unknown name. Source: Neumayer, Goujon, Bohra and
    Unser (2023) for f1 to f3; Prach and Lampert (2024) for f4.

    >>> import torch
    >>> f4 = target("f4")
    >>> f4(torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64))
    tensor([-0.9000,  0.0000,  0.4000], dtype=torch.float64)
    """
    if name == "f3":
        return lambda x: torch.cos(7 * math.pi * x) / (7 * math.pi)  # its mean is sin(7 pi)/(7 pi)^2 = 0
    if name == "f4":
        return _piecewise(torch.tensor([-_THRESHOLD, _THRESHOLD], dtype=torch.float64), torch.tensor([1.0, -1.0, 1.0]))
    if name == "f4-sawtooth":
        count = round(1 / _THRESHOLD)
        knots = torch.tensor([(2 * k + 1 - count) * _THRESHOLD for k in range(count)], dtype=torch.float64)
        return _piecewise(knots, _in_turn(count + 1, first=-1.0))
    if name not in names():
        raise ValueError(f"function must be one of {', '.join(names())}, got {name!r}")
    random = stream("fit-1d", name, seed)
    knots = (2 * torch.rand(_KNOTS, generator=random, dtype=torch.float64) - 1).sort().values
    if name == "f1":
        sign = 1.0 - 2.0 * float(torch.randint(2, (), generator=random))
        return _piecewise(knots, _in_turn(_KNOTS + 1, first=sign))
    if name == "f2":
        return _piecewise(knots, _never_twice(_KNOTS + 1, random))
    return _piecewise(knots, 2 * torch.rand(_KNOTS + 1, generator=random, dtype=torch.float64) - 1)


def _in_turn(count: int, *, first: float) -> Tensor:
    return torch.tensor([first * (-1.0) ** k for k in range(count)])


def _never_twice(count: int, random: torch.Generator) -> Tensor:
    """Random slopes 1, 0, -1 that change at every knot."""
    choices = [1.0, 0.0, -1.0]
    slopes = [choices[int(torch.randint(3, (), generator=random))]]
    while len(slopes) < count:
        others = [slope for slope in choices if slope != slopes[-1]]
        slopes.append(others[int(torch.randint(2, (), generator=random))])
    return torch.tensor(slopes)


def _piecewise(knots: Float[Tensor, " knots"], slopes: Float[Tensor, " pieces"]) -> Function:
    """The continuous function with these slopes between the knots, and mean 0 over the interval."""
    low, high = (torch.tensor([end], dtype=torch.float64) for end in INTERVAL)
    edges = torch.cat((low, knots.double(), high))
    starts, widths, slopes = edges[:-1], edges.diff(), slopes.double()
    # the integral over the interval of what piece i adds: a triangle, and then its height up to the end
    mean = float((slopes * (widths.square() / 2 + widths * (high - edges[1:]))).sum() / (high - low))

    def function(x: Tensor) -> Tensor:
        along = torch.minimum((x.double().unsqueeze(-1) - starts).clamp_min(0.0), widths)
        return (along * slopes).sum(-1) - mean

    return function
