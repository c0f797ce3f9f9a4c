"""Projected gradient ascent of any objective, for adversarial training: quicker than an attack, and weaker."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.attacks import project
from taut.attacks.ball import random_point, within_box
from taut.losses import input_gradient, steepest_direction

_DUAL = {"linf": "l1", "l2": "l2"}
"""From the norm in which a step has length 1 to that of the gradient which it raises."""


def ascend(
    inputs: Float[Tensor, "n *shape"],
    objective: Callable[[Tensor], Tensor],
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 7,
    step_size: float | None = None,
    generator: torch.Generator | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "n *shape"]:
    r"""The last point of `steps` steps of steepest ascent from a random point of {y : ||y - x|| <= eps, y in the box}.

    Each step is projected into the ball and the box, in which every point is as stored, not up to rounding. Training
    takes the last point (Madry et al., 2018); to judge a network, attack it with `taut.attacks`, which keeps the worst.

    Args:
        inputs: In `bounds`.
        objective: From points (n, *shape) to one number for each, which is to grow.
        eps: Radius in input units.
        norm: Of the ball, "linf" or "l2".
        steps: Gradients that are computed.
        step_size: Length of a step in `norm`; None for 2.5 eps / steps.
        generator: Of the random points, on the CPU; None starts at the inputs themselves.
        bounds: Smallest and largest value of an input.

    Raises:
        ValueError: eps, steps or step_size not positive and finite, another norm, inputs in half precision.

    Example:
        >>> point = ascend(torch.full((1, 2), 0.5), lambda x: x[:, 0] - x[:, 1], eps=0.1)
        >>> [round(value, 3) for value in point[0].tolist()]
        [0.6, 0.4]
    """
    if norm not in _DUAL:
        raise ValueError(f"norm must be one of {', '.join(_DUAL)}, got {norm!r}")
    size = 2.5 * eps / max(steps, 1) if step_size is None else step_size
    if not (0 < eps < math.inf and 0 < size < math.inf and steps >= 1):
        raise ValueError(f"eps, steps and step_size must be positive and finite, got {eps}, {steps} and {step_size}")
    if torch.finfo(inputs.dtype).bits < 32:
        raise ValueError(f"inputs must be float32 or float64, got {inputs.dtype}: rounding leaves no room to move")
    eps = within_box(eps, inputs, norm, bounds)
    size = min(size, 2.5 * eps)
    centre = inputs.detach()
    point = centre
    if generator is not None:
        point = random_point(centre, eps=eps, norm=norm, bounds=bounds, generator=generator)
    for _ in range(steps):
        direction = steepest_direction(input_gradient(objective, point), norm=_DUAL[norm])
        point = project(point + size * direction, centre, eps=eps, norm=norm, bounds=bounds)
    return point
