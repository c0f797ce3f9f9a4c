"""The lower ends of an audit: of each layer, and of the network, within so many seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.estimates.budget import Budget
from taut.certify.estimates.estimate import Estimate, estimate_of_copy, usable
from taut.certify.estimates.float64_copy import check_function, device_of, float64_copy
from taut.certify.estimates.layers import Attained, layers_attained
from taut.certify.rules.module_rules import Leaf, is_plain_linear

_RANDOM_INPUTS = 16
_EVALUATIONS = 10_000
_FOR_LAYERS = 0.5
"""Share of the time."""
OFF = "no search"
UNKNOWN = "no lower bound of the network: the shape of its input is not known"


@dataclass(frozen=True, kw_only=True)
class Below:
    """What a search found."""

    layers: tuple[Attained | None, ...]
    """For each use of a layer."""
    estimate: Estimate | None
    """For the network."""
    searched: str
    """Where the search of the network began, or why there was none."""


def look_from_below(
    model: nn.Module,
    leaves: Sequence[Leaf],
    *,
    norm: Norm,
    shape: Sequence[int] | None,
    inputs: Tensor | None,
    seconds: float,
    seed: int,
    tell: Callable[[str, float], None],
) -> Below:
    """Lower bounds around `inputs`, or around random normal ones of `shape` where there are none."""
    if seconds == 0.0:
        return Below(layers=(None,) * len(leaves), estimate=None, searched=OFF)
    twin = float64_copy(model, norm)
    points, searched = _start(leaves, shape, inputs, seed)
    if points is not None:
        points = points.to(device=device_of(twin), dtype=torch.float64)
        check_function(twin, points[:1])
    tell("looking for lower bounds of the layers", 0.0)
    layers = layers_attained(
        twin,
        leaves,
        norm=norm,
        sample=None if points is None else points[:1],
        seconds=_FOR_LAYERS * seconds,
        seed=seed,
    )
    if points is None:
        return Below(layers=tuple(layers), estimate=None, searched=searched)
    what = "looking for a lower bound of the network"
    budget = Budget(
        evaluations=_EVALUATIONS,
        seconds=(1.0 - _FOR_LAYERS) * seconds,
        progress=lambda share, _: tell(what, share),
    )
    found = estimate_of_copy(twin, points, norm=norm, budget=budget, seed=seed)
    return Below(layers=tuple(layers), estimate=found, searched=searched)


def _start(
    leaves: Sequence[Leaf], shape: Sequence[int] | None, inputs: Tensor | None, seed: int
) -> tuple[Tensor | None, str]:
    if inputs is not None:
        return usable(inputs).detach(), f"from {len(inputs)} given input{'s' if len(inputs) > 1 else ''}"
    if shape is None:
        first = leaves[0].module if leaves else None
        if first is None or not is_plain_linear(first):
            return None, UNKNOWN
        shape = (int(first.in_features),)  # type: ignore[arg-type]
    generator = torch.Generator("cpu").manual_seed(seed)
    points = torch.randn(_RANDOM_INPUTS, *shape, generator=generator, dtype=torch.float64, device="cpu")
    return points, f"from {_RANDOM_INPUTS} random normal inputs"
