"""The fast adaptive boundary attack in its targeted form: small steps between linearised boundaries and the sample."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from taut.attacks.apgd import ranked_targets
from taut.attacks.ball import distance, random_point
from taut.attacks.checks import check_options
from taut.attacks.gradients import gradient_at, like, margins
from taut.attacks.hyperplane import nearest_on_hyperplane

_OVERSHOOT = 1.05
_MOST_BIAS = 0.1
"""Largest share of the way that starts from the sample."""
_BACKWARD = 0.9
_FIRST_RADIUS = {"l2": 1.0, "linf": 0.3}
"""Of the random starts of samples for which nothing has been found yet."""


def fab(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    norm: str = "l2",
    steps: int = 100,
    restarts: int = 1,
    targets: int = 9,
    bounds: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    r"""The nearest misclassified point met on the way, in l2 or linf, by FAB-T (Croce and Hein 2020, "Minimally
    distorted adversarial examples with a fast adaptive boundary attack").

    For each target class the boundary to it is linearised; the iterate moves to the nearest point of that hyperplane
    in the box, mixed with that of the sample itself; past the boundary it steps back towards the sample. The sample is
    returned where nothing was found. Points are in the box.

    Args:
        model: Maps inputs to logits; its parameters are left alone.
        inputs: In `bounds`, correctly classified.
        labels: True classes.
        norm: Of the distance that is made small.
        steps: Gradient steps for each target.
        restarts: The first from the sample, the others from random points around it.
        targets: So many other classes, those with the largest logits at the sample.
        bounds: Smallest and largest value of an input.
        generator: A CPU generator for the random points; seeded with 0 when None.

    Raises ValueError as `pgd`.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> found = fab(model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), steps=20)
        >>> 0.0707 < float(distance(found, torch.tensor([[0.6, 0.5]]), "l2")) < 0.075  # 0.1 / sqrt(2)
        True
    """
    check_options(inputs, norm=norm, steps=steps, restarts=restarts, bounds=bounds)
    if targets < 1:
        raise ValueError(f"targets must be at least 1, got {targets}")
    generator = generator or torch.Generator().manual_seed(0)
    best = inputs.clone()
    nearest = torch.full((len(inputs),), math.inf, dtype=torch.float64, device=inputs.device)
    for restart in range(restarts):
        for target in ranked_targets(model, inputs, labels, targets).unbind(1):
            point = inputs
            if restart:
                point = _around(inputs, nearest, norm, bounds, generator)
            for _ in range(steps):
                point = _forward(model, point, inputs, labels, target, norm, bounds)
                broken = _broken(model, point, labels)
                size = distance(point, inputs, norm)
                closer = broken & (size < nearest)
                best = torch.where(like(closer, point), point, best)
                nearest = torch.where(closer, size, nearest)
                back = (1 - _BACKWARD) * inputs + _BACKWARD * point
                point = torch.where(like(broken, point), back, point)
    return best


def _forward(
    model: nn.Module,
    point: Tensor,
    inputs: Tensor,
    labels: Tensor,
    target: Tensor,
    norm: str,
    bounds: tuple[float, float],
) -> Tensor:
    """Towards the linearised boundary between label and target, from the iterate and from the sample."""
    with torch.enable_grad():
        here = point.detach().requires_grad_(True)
        logits = model(here)
        gap = (logits.gather(1, target[:, None]) - logits.gather(1, labels[:, None])).squeeze(1)
        gradient = gradient_at(here, gap)
    normal, start, centre = gradient.flatten(1), point.flatten(1), inputs.flatten(1)
    offset = gap.detach() - (normal * start).sum(dim=1)
    onto = nearest_on_hyperplane(start, normal, offset, norm=norm, bounds=bounds)
    onto_from_centre = nearest_on_hyperplane(centre, normal, offset, norm=norm, bounds=bounds)
    way, way_from_centre = distance(onto, start, norm), distance(onto_from_centre, centre, norm)
    share = (way / (way + way_from_centre).clamp_min(1e-30)).clamp(max=_MOST_BIAS).to(start)[:, None]
    ahead = start + _OVERSHOOT * (onto - start)
    ahead_from_centre = centre + _OVERSHOOT * (onto_from_centre - centre)
    return ((1 - share) * ahead + share * ahead_from_centre).clamp(*bounds).view_as(point)


@torch.no_grad()
def _broken(model: nn.Module, points: Tensor, labels: Tensor) -> Bool[Tensor, " batch"]:
    return margins(model(points), labels) <= 0


def _around(
    inputs: Tensor, nearest: Tensor, norm: str, bounds: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Random points at half the distance of what was found, or of a usual radius."""
    drawn = random_point(inputs, eps=_FIRST_RADIUS[norm], norm=norm, bounds=bounds, generator=generator)
    share = (nearest / _FIRST_RADIUS[norm]).clamp(max=1.0) / 2
    return (inputs + like(share, inputs).to(inputs) * (drawn - inputs)).clamp(*bounds)
