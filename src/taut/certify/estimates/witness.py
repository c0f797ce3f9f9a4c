r"""What a pair of points proves: the ratio of its distances, less the rounding of the evaluation.

The rounding error of float64 is told by Monte Carlo arithmetic (Parker 1997): the network is evaluated once more with
every operand of every operation off by a random share of up to 2^-36, and what that does to the output is scaled to the
unit roundoff 2^-53, times 32. So cancellation inside the network is seen, which the size of the output does not show,
and a pair that is too near for float64 proves nothing. This is an estimate, not a proof; everything else here is
rounded outward.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from taut.certify.breakdown import Norm
from taut.certify.estimates.lengths import drawn, lengths, per_sample
from taut.certify.rounding import UNIT_ROUNDOFF, add_up, div_down, gamma, mul_up, norm_up

SAFETY = 32.0
NOISE = 2.0**-36
_FLOOR = 8.0 * UNIT_ROUNDOFF
"""Of the size of the outputs."""
_NEARBY = 2


@torch.no_grad()
def witnessed(
    twin: nn.Module, first: Float[Tensor, " *shape"], second: Float[Tensor, " *shape"], *, norm: Norm, seed: int
) -> float:
    """A number that the constant of the float64 network is not below, up to the estimate of rounding; 0.0 for none."""
    points = torch.stack([first, second])
    outputs = twin(points.clone()).flatten(1)
    rise = (outputs[0] - outputs[1]).unsqueeze(0)
    size = float(lengths(rise, norm)[0])
    exact = mul_up(size, 2.0 * gamma(rise.shape[1] + 8))  # of the difference and of its length
    attained = -add_up(add_up(rounding_estimate(twin, points, outputs, norm=norm, seed=seed), exact), -size)
    distance = _length_up((first - second).reshape(1, -1), norm)
    if not (0.0 < attained < math.inf and 0.0 < distance < math.inf):
        return 0.0
    return div_down(attained, distance)


def rounding_estimate(
    twin: nn.Module, points: Float[Tensor, "two *shape"], outputs: Float[Tensor, "two out"], *, norm: Norm, seed: int
) -> float:
    """Of the rounding error in the difference of the outputs of two points: the worst seen at them and beside them."""
    beside = points[torch.arange(_NEARBY) % 2]
    size = per_sample(lengths(beside, norm), beside)
    beside = beside + 1e-3 * size * drawn(beside, norm, torch.Generator("cpu").manual_seed(seed))
    everything = torch.cat([points, beside])
    fine = torch.cat([outputs, twin(beside.clone()).flatten(1)])
    with _Noisy(points.device, seed) as noisy:
        coarse = twin(everything.clone()).flatten(1)
    error = lengths(noisy.disturbed(coarse) - fine, norm).amax() * (UNIT_ROUNDOFF / NOISE)
    return float(2.0 * SAFETY * error + _FLOOR * lengths(outputs, norm).sum())


class _Noisy(TorchDispatchMode):
    """Every operation gets its float64 operands with a random relative error; those that its result is a view of as
    they are, so that what is computed stays the same function, and those that it changes with the error afterwards."""

    def __init__(self, device: torch.device, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator(device).manual_seed(seed)

    def disturbed(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float64:
            return value
        return value * (1.0 + NOISE * torch.empty_like(value).uniform_(-1.0, 1.0, generator=self._generator))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        formal = func._schema.arguments
        free = {argument.name for argument in formal if argument.alias_info is None}
        given = [
            tree_map(self.disturbed, value) if argument.name in free else value
            for argument, value in zip(formal, args, strict=False)
        ]
        named = {
            name: tree_map(self.disturbed, value) if name in free else value for name, value in (kwargs or {}).items()
        }
        result = func(*given, **named)
        every = {**dict(zip((argument.name for argument in formal), args, strict=False)), **(kwargs or {})}
        for argument in formal:
            if argument.alias_info is not None and argument.alias_info.is_write:
                tree_map(self._disturb, every.get(argument.name))
        return result

    def _disturb(self, written: Any) -> Any:
        """Or what x.add_(c) rounds would not be seen by the x.sub_(c) that follows."""
        if isinstance(written, Tensor) and written.dtype == torch.float64:
            written.copy_(self.disturbed(written))
        return written


def _length_up(gap: Float[Tensor, "one n"], norm: Norm) -> float:
    """Length of the exact difference of two points, rounded up; each computed difference is off by one rounding."""
    computed = float(norm_up(gap)) if norm == "l2" else float(gap.abs().amax())
    return mul_up(computed, 1.0 + 4.0 * UNIT_ROUNDOFF)
