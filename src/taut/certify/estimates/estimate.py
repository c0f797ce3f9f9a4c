r"""Lower bound of the Lipschitz constant of any network, by search: the ratio |f(a) - f(b)| / |a - b| of a pair."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.estimates.budget import Budget, Progress
from taut.certify.estimates.float64_copy import check_function, device_of, float64_copy
from taut.certify.estimates.lengths import lengths
from taut.certify.estimates.pairs import Pairs, Slopes
from taut.certify.estimates.search import SEARCHES, Search
from taut.certify.estimates.witness import witnessed

_CAPACITY = 16
_STEPS = 40
"""Where seconds are given, so many steps of the search should fit into them."""
_CHECKED = 3
"""Pairs whose rounding is looked at."""
_LONGER = (1.0, 1e2, 1e-2, 1e4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A lower bound of a Lipschitz constant and the pair of points that attains it."""

    value: float
    """|f(first) - f(second)| / |first - second| less the rounding of float64: the constant is not below it."""
    norm: Norm
    """Norm of both distances."""
    search: str
    """What found it: "pairs" (of the data), "jacobian" (power method at the data), "attack" (displaced pairs)."""
    first: Float[Tensor, " *shape"]
    """One point, float64, on the CPU."""
    second: Float[Tensor, " *shape"]
    """The other."""
    evaluations: int
    """Samples that went through the network, with their gradients."""
    seconds: float
    """Time of the search."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON; without the points."""
        return {
            "value": self.value,
            "norm": self.norm,
            "search": self.search,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }


def estimate(
    model: nn.Module,
    inputs: Num[Tensor, "batch *shape"],
    *,
    norm: str = "l2",
    evaluations: int = 20_000,
    seconds: float | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> Estimate:
    r"""Lower bound of the Lipschitz constant in `norm` ("l2" or "linf" on both sides), by search from `inputs`.

    The network is the one that `lipschitz_bound` bounds: from one sample to the output, with the weights as they are
    stored. It is evaluated in float64, on a copy; the model is not changed, stays on its device and needs no rule, but
    derivatives. Three searches share the budget: the steepest pairs of the data, the norm of the Jacobian at the data,
    and pairs that are displaced along the gradient; the best go on by perturb and keep. What counts in the end is
    not a derivative but a pair of points, near or far, whose distances are rounded against the claim: the value is not
    above the constant, provided that rounding does no more than 32 times what a random error of its size is seen to do
    (see `witness`). 0.0 if nothing larger is certain.

    `inputs` are the points to start from, 16 or more if possible; the search may leave them. `evaluations` counts
    samples that go through the network, with their gradients; the same count, seed and machine give the same value.
    `seconds` ends the search earlier, at a place that depends on the machine; a step that has begun is finished. Of
    `batch_size` samples at most go through the model at once. `progress` is called with the share of the budget that
    is spent and the largest ratio so far, and ends the search by returning True.

    Raises TypeError for batch statistics, outputs other than one floating tensor with a row a sample, and models that
    compute in less than float64 whatever their weights are; ValueError for another norm, no inputs or inputs that are
    not finite or do not fit, a model that draws random numbers, and budgets that are not positive.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> found = estimate(net, torch.zeros(1, 2), evaluations=500)
    >>> 5.0 - 1e-6 < found.value <= 5.0
    True
    """
    checked = checked_norm(norm)
    _refuse_budgets(evaluations, seconds, batch_size)
    twin = float64_copy(model, checked)
    points = usable(inputs).detach().to(device=device_of(twin), dtype=torch.float64)
    check_function(twin, points[:1])
    budget = Budget(evaluations=evaluations, seconds=seconds, progress=progress)
    return estimate_of_copy(twin, points, norm=checked, budget=budget, batch_size=batch_size, seed=seed)


def estimate_of_copy(
    twin: nn.Module,
    points: Float[Tensor, "batch *shape"],
    *,
    norm: Norm,
    budget: Budget,
    batch_size: int = 64,
    seed: int = 0,
) -> Estimate:
    """`estimate` of a network that is in float64 and was checked."""
    slopes = Slopes(twin, norm, batch_size=batch_size, budget=budget)
    generator = torch.Generator("cpu").manual_seed(seed)
    search = Search(slopes, points, capacity=_affordable(slopes, points), generator=generator)
    found = search.run()
    value, index, ends = _checked(slopes, found, seed)
    first, second = ends
    return Estimate(
        value=value,
        norm=norm,
        search=SEARCHES[int(found.origin[index])],
        first=first.cpu(),
        second=second.cpu(),
        evaluations=budget.spent,
        seconds=budget.elapsed(),
    )


def _affordable(slopes: Slopes, points: Tensor) -> int:
    """How many pairs to follow at once: fewer where a step would take much of the seconds, or of the evaluations."""
    capacity = min(_CAPACITY, max(1, slopes.budget.evaluations // (6 * _STEPS)))
    if slopes.budget.seconds is None:
        return capacity
    before = slopes.budget.elapsed()
    slopes.values(points[:1])
    pair = 6.0 * (slopes.budget.elapsed() - before)  # forward and backward at both ends
    return max(1, min(capacity, int(slopes.budget.seconds / _STEPS / max(pair, 1e-9))))


def _checked(slopes: Slopes, found: Pairs, seed: int) -> tuple[float, int, tuple[Tensor, Tensor]]:
    """The largest number that a pair proves, of the steepest ones and their longer and shorter relatives."""
    budget = slopes.budget
    best = 0.0, 0, (found.middle[0] + found.half[0], found.middle[0] - found.half[0])
    for index in range(min(_CHECKED, len(found))):
        for factor in _LONGER:
            if best[0] > 0.0 and budget.seconds is not None and budget.elapsed() > budget.seconds:
                return best
            ends = found.middle[index] + factor * found.half[index], found.middle[index] - factor * found.half[index]
            value = witnessed(slopes.twin, *ends, norm=slopes.norm, seed=seed)
            if value > best[0]:
                best = value, index, ends
    return best


def usable(inputs: Tensor) -> Tensor:
    """The inputs, or a ValueError that says what is wrong with them."""
    if inputs.ndim < 2 or len(inputs) == 0 or inputs[0].numel() == 0:
        raise ValueError(f"a batch of at least one sample is needed, got inputs of shape {tuple(inputs.shape)}")
    if not inputs.is_floating_point():
        raise ValueError(f"floating-point inputs are needed, got {inputs.dtype}")
    if not bool(inputs.isfinite().all()) or not bool(lengths(inputs.double(), "l2").isfinite().all()):
        raise ValueError("finite inputs are needed, got NaN or infinity")
    return inputs


def _refuse_budgets(evaluations: int, seconds: float | None, batch_size: int) -> None:
    if evaluations < 1:
        raise ValueError(f"evaluations must be >= 1, got {evaluations}")
    if seconds is not None and not seconds > 0.0:
        raise ValueError(f"seconds must be > 0, got {seconds}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
