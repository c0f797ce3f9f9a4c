"""Projected gradient descent on the logits, keeping for each sample the worst point that it met."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.ball import project, random_point, within_box
from taut.attacks.checks import check_options
from taut.attacks.gradients import climb, cross_entropy, like, minus_margin, steepest

AttackLoss = Literal["margin", "cross-entropy", "both"]
OBJECTIVES = {"margin": minus_margin, "cross-entropy": cross_entropy}


def pgd(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    eps: float,
    norm: str = "l2",
    steps: int = 20,
    restarts: int = 2,
    step_size: float | None = None,
    loss: str = "both",
    bounds: tuple[float, float] = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch *shape"]:
    r"""argmin of the margin over {y : ||y - x|| <= eps, y in the box}, searched by steepest descent (Madry et al.
    2018).

    Every returned point is in the ball and in the box as stored, not up to rounding. The model must return logits.

    Args:
        model: Maps inputs to logits; its parameters are left alone.
        inputs: In `bounds`.
        labels: True classes.
        eps: Radius in input units.
        norm: str of the ball, "l2" or "linf".
        steps: Gradient steps per restart.
        restarts: The first starts at the input, the others at random points of the ball.
        step_size: Length of a step in `norm`; None for 2.5 eps / steps. It shrinks to a tenth over the steps.
        loss: What is climbed: minus the margin, the cross-entropy, or each in turn over the restarts.
        bounds: Smallest and largest value of an input.
        generator: A CPU generator for the random points; seeded with 0 when None.

    Raises:
        ValueError: eps, steps, restarts or step_size not positive, an unknown norm or loss, or inputs outside `bounds`.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> worst = pgd(model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), eps=0.2)
        >>> bool(worst[0, 0] < worst[0, 1])
        True
    """
    if loss not in ("margin", "cross-entropy", "both"):
        raise ValueError(f"loss must be 'margin', 'cross-entropy' or 'both', got {loss!r}")
    if step_size is not None and not (math.isfinite(step_size) and step_size > 0):
        raise ValueError(f"step_size must be a positive number, got {step_size}")
    check_options(inputs, eps=eps, norm=norm, steps=steps, restarts=restarts, bounds=bounds)
    eps = within_box(eps, inputs, norm, bounds)
    generator = generator or torch.Generator().manual_seed(0)
    size = 2.5 * eps / steps if step_size is None else step_size
    worst = inputs.clone()
    lowest = torch.full((len(inputs),), math.inf, dtype=inputs.dtype, device=inputs.device)
    for restart in range(restarts):
        climbed = loss if loss != "both" else ("margin", "cross-entropy")[restart % 2]
        point = inputs
        if restart:
            point = random_point(inputs, eps=eps, norm=norm, bounds=bounds, generator=generator)
        for step in range(steps + 1):
            gradient, _, margin = climb(model, point, labels, OBJECTIVES[climbed])
            better = margin < lowest
            lowest = torch.where(better, margin, lowest)
            worst = torch.where(like(better, point), point, worst)
            if step < steps:
                length = size * (1 - 0.9 * step / steps)
                point = project(point + length * steepest(gradient, norm), inputs, eps=eps, norm=norm, bounds=bounds)
    return worst
