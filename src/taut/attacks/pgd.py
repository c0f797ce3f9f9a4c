"""Projected gradient descent on the logits, keeping for each sample the worst point that it met."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.ball import project, random_point

AttackLoss = Literal["margin", "cross-entropy", "both"]


def margins(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Logit of the label minus the largest other logit: positive where the prediction is right and not tied.

    Example:
        >>> margins(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([1]))
        tensor([1.])
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    return logits.gather(1, labels[:, None]).squeeze(1) - logits.masked_fill(own, -math.inf).amax(dim=1)


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
    _check(inputs, eps, norm, steps, restarts, step_size, loss, bounds)
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
            gradient, margin = _gradient(model, point, labels, climbed)
            better = margin < lowest
            lowest = torch.where(better, margin, lowest)
            worst = torch.where(_like(better, point), point, worst)
            if step < steps:
                length = size * (1 - 0.9 * step / steps)
                point = project(point + length * _steepest(gradient, norm), inputs, eps=eps, norm=norm, bounds=bounds)
    return worst


def _gradient(model: nn.Module, point: Tensor, labels: Tensor, climbed: str) -> tuple[Tensor, Tensor]:
    """Gradient of the climbed loss with respect to the point, and the margin there."""
    with torch.enable_grad():
        point = point.detach().requires_grad_(True)
        logits = model(point)
        margin = margins(logits, labels)
        objective = -margin.sum() if climbed == "margin" else F.cross_entropy(logits, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(objective, point)
    return gradient, margin.detach()


def _steepest(gradient: Tensor, norm: str) -> Tensor:
    """Direction of unit norm along which the loss grows fastest."""
    if norm == "linf":
        return gradient.sign()
    length = gradient.flatten(1).norm(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return gradient / _like(length, gradient)


def _like(per_sample: Tensor, tensor: Tensor) -> Tensor:
    return per_sample.view(-1, *[1] * (tensor.ndim - 1))


def _check(
    inputs: Tensor,
    eps: float,
    norm: str,
    steps: int,
    restarts: int,
    step_size: float | None,
    loss: str,
    bounds: tuple[float, float],
) -> None:
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    if loss not in ("margin", "cross-entropy", "both"):
        raise ValueError(f"loss must be 'margin', 'cross-entropy' or 'both', got {loss!r}")
    if not (math.isfinite(eps) and eps > 0):
        raise ValueError(f"eps must be a positive number, got {eps}")
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps and restarts must be at least 1, got {steps} and {restarts}")
    if step_size is not None and not (math.isfinite(step_size) and step_size > 0):
        raise ValueError(f"step_size must be a positive number, got {step_size}")
    low, high = bounds
    if len(inputs) and not (low <= float(inputs.min()) and float(inputs.max()) <= high):
        raise ValueError(
            f"inputs must lie in {bounds}, got values in [{float(inputs.min()):g}, {float(inputs.max()):g}]"
        )
