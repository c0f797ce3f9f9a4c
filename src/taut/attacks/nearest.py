"""From what a search in the model's precision found to the nearest point on its way that the float64 model
misclassifies."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from taut.attacks.gradients import like, margins

_OUTWARD = (1.0, 1 + 1e-6, 1 + 1e-4, 1.001, 1.01, 1.05)
"""Lengths at which a point is tried: one that is misclassified in float32 may lie a little too near for float64."""
_HALVINGS = 30


@torch.no_grad()
def is_broken(
    judge: nn.Module, points: Float[Tensor, "batch *shape"], labels: Int64[Tensor, " batch"]
) -> Bool[Tensor, " batch"]:
    """Whether `judge` misclassifies each point, or has a tie there."""
    return margins(judge(points), labels) <= 0


def settle(
    judge: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    found: Float[Tensor, "batch *shape"],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> tuple[Float[Tensor, "batch *shape"], Bool[Tensor, " batch"]]:
    """The point between `inputs` and `found` at which the class changes, by bisection in float64, and whether there is
    one.

    All points are in the box, and those that are said to be misclassified are so by `judge`, a float64 model, which
    must classify the inputs correctly. Where `found` is right, points up to a twentieth further out are tried.

    Args:
        judge: A float64 model that returns logits.
        inputs: In float64.
        labels: True classes.
        found: What a search returned.
        bounds: Smallest and largest value of an input.
    """
    usable = torch.isfinite(found.flatten(1)).all(dim=1)
    far = torch.where(like(usable, found), found, inputs.to(found)).double().clamp(*bounds)

    def at(share: Tensor) -> Tensor:
        return (inputs + like(share, inputs) * (far - inputs)).clamp(*bounds)

    upper = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    broken = torch.zeros_like(upper).bool()
    for length in _OUTWARD:
        fresh = ~broken & is_broken(judge, at(torch.full_like(upper, length)), labels)
        upper[fresh] = length
        broken |= fresh
    lower = torch.zeros_like(upper)
    for _ in range(_HALVINGS):
        middle = (lower + upper) / 2
        over = is_broken(judge, at(middle), labels)
        upper, lower = torch.where(over, middle, upper), torch.where(over, lower, middle)
    return torch.where(like(broken, inputs), at(upper), inputs), broken
