"""Auto-PGD: ascent with momentum whose step size halves where it stops paying (Croce and Hein 2020)."""

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.ball import project, random_point, within_box
from taut.attacks.checks import check_options
from taut.attacks.gradients import Objective, climb, cross_entropy, like, margins, steepest, targeted_dlr

_MOMENTUM = 0.75
_RISES = 0.75
"""Share of steps between two checkpoints that must have raised the objective for the step size to stay."""


def apgd(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    eps: float,
    norm: str = "l2",
    steps: int = 100,
    restarts: int = 1,
    loss: Literal["cross-entropy", "dlr"] = "cross-entropy",
    targets: int = 9,
    bounds: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    r"""argmin of the margin over {y : ||y - x|| <= eps, y in the box}, searched by APGD in l2 or linf (Croce and Hein
    2020).

    Every returned point is in the ball and the box as stored. The model must return logits.

    Args:
        model: Maps inputs to logits; its parameters are left alone.
        inputs: In `bounds`.
        labels: True classes.
        eps: Radius in input units.
        norm: Norm of the ball.
        steps: Gradient steps of each search.
        restarts: Searches per objective, each from a random point of the ball.
        loss: Cross-entropy; or "dlr", the targeted difference of logits ratio, a search for each target.
        targets: So many other classes are targets of "dlr", those with the largest logits at the input.
        bounds: Smallest and largest value of an input.
        generator: A CPU generator for the random points; seeded with 0 when None.

    Raises ValueError as `pgd`.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(1e4 * torch.eye(2))  # cross-entropy is flat in floats
        >>> worst = apgd(model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), eps=0.2, steps=10, loss="dlr")
        >>> bool(worst[0, 0] < worst[0, 1])
        True
    """
    check_options(inputs, eps=eps, norm=norm, steps=steps, restarts=restarts, bounds=bounds)
    if loss not in ("cross-entropy", "dlr"):
        raise ValueError(f"loss must be 'cross-entropy' or 'dlr', got {loss!r}")
    if targets < 1:
        raise ValueError(f"targets must be at least 1, got {targets}")
    eps = within_box(eps, inputs, norm, bounds)
    generator = generator or torch.Generator().manual_seed(0)
    aimed = ranked_targets(model, inputs, labels, targets) if loss == "dlr" else labels[:, None]
    worst = inputs.clone()
    for _ in range(restarts):
        for target in aimed.unbind(1):
            left = torch.nonzero(_margin(model, worst, labels) >= 0).squeeze(1)
            if not len(left):
                return worst
            chosen = target[left]
            objective = partial(targeted_dlr, targets=chosen) if loss == "dlr" else cross_entropy
            start = random_point(inputs[left], eps=eps, norm=norm, bounds=bounds, generator=generator)
            found = _search(model, start, inputs[left], labels[left], objective, eps, norm, steps, bounds)
            lower = _margin(model, found, labels[left]) < _margin(model, worst[left], labels[left])
            worst[left[lower]] = found[lower]
    return worst


def checkpoints(steps: int) -> list[int]:
    """Steps at which the step size is judged: ceil(p_j steps) with p = 0, .22, and gaps that shrink by .03 to .06.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    previous, share, marks = 0.0, 0.22, []
    while share <= 1:
        marks.append(math.ceil(round(share * steps, 9)))
        previous, share = share, round(share + max(share - previous - 0.03, 0.06), 9)
    return sorted(set(marks))


@torch.no_grad()
def ranked_targets(
    model: nn.Module, inputs: Float[Tensor, "batch *shape"], labels: Int64[Tensor, " batch"], count: int
) -> Int64[Tensor, "batch targets"]:
    """The other classes with the largest logits at the input, largest first; at most so many."""
    logits = model(inputs)
    others = logits.scatter(1, labels[:, None], -math.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices


@torch.no_grad()
def _margin(model: nn.Module, points: Tensor, labels: Tensor) -> Tensor:
    return margins(model(points), labels)


def _search(
    model: nn.Module,
    start: Tensor,
    inputs: Tensor,
    labels: Tensor,
    objective: Objective,
    eps: float,
    norm: str,
    steps: int,
    bounds: tuple[float, float],
) -> Tensor:
    """The point of smallest margin on one ascent of the objective from `start`."""
    inside = partial(project, centre=inputs, eps=eps, norm=norm, bounds=bounds)
    previous = point = start
    gradient, value, lowest = climb(model, point, labels, objective)
    worst, best, best_gradient, best_value = point, point, gradient, value
    size = torch.full_like(value, 2 * eps)
    rises, at_mark, halved, mark = torch.zeros_like(value), best_value, torch.zeros_like(value).bool(), 0
    marks = checkpoints(steps)
    for step in range(1, steps + 1):
        ahead = inside(point + like(size, point) * steepest(gradient, norm))
        share = _MOMENTUM if step > 1 else 1.0
        previous, point = point, inside(point + share * (ahead - point) + (1 - share) * (point - previous))
        gradient, now, margin = climb(model, point, labels, objective)
        rises, value = rises + (now > value), now
        better, lower = now > best_value, margin < lowest
        best, best_gradient = _pick(better, (point, gradient), (best, best_gradient))
        best_value, lowest = torch.maximum(now, best_value), torch.minimum(margin, lowest)
        worst = torch.where(like(lower, point), point, worst)
        if step in marks:
            halve = rises < _RISES * (step - mark)
            halve |= ~halved & (best_value <= at_mark)
            size = torch.where(halve, size / 2, size)
            point, gradient = _pick(halve, (best, best_gradient), (point, gradient))
            value = torch.where(halve, best_value, value)
            rises, at_mark, halved, mark = torch.zeros_like(rises), best_value, halve, step
    return worst


def _pick(which: Tensor, new: tuple[Tensor, ...], old: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """For each sample the new tensors where `which` holds."""
    return tuple(torch.where(like(which, a), a, b) for a, b in zip(new, old, strict=True))
