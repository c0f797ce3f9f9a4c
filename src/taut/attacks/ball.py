"""The set that an attack may use: the ball of radius eps around an input, in l2 or linf, cut with the box of valid
inputs.

Membership holds for the numbers as they are stored: the norm of the difference, computed in float64, does not exceed
eps.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Norm = Literal["l2", "linf"]


def distance(x: Float[Tensor, "batch *shape"], y: Float[Tensor, "batch *shape"], norm: str) -> Float[Tensor, " batch"]:
    """Norm of x - y per sample, in float64.

    Example:
        >>> distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), "l2")
        tensor([5.], dtype=torch.float64)
    """
    difference = (x.double() - y.double()).flatten(1)
    return difference.norm(dim=1) if norm == "l2" else difference.abs().amax(dim=1)


def project(
    point: Float[Tensor, "batch *shape"],
    centre: Float[Tensor, "batch *shape"],
    *,
    eps: float,
    norm: str,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "batch *shape"]:
    """Move `point` into the ball around `centre` and into the box `bounds`; `centre` must lie in the box.

    The radius is reduced by what rounding can add: one unit in the last place of every coordinate, and the error of
    the norm itself. Where nothing is left of it, the result is the centre.

    Example:
        >>> project(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), eps=1.0, norm="l2").tolist()
        [[0.59..., 0.79...]]
    """
    unit = torch.finfo(point.dtype).eps
    entries = point[0].numel()
    largest = max(abs(bounds[0]), abs(bounds[1]))
    delta = point - centre
    if norm == "linf":
        radius = eps - unit * (largest + eps)
        moved = delta.clamp(-max(radius, 0.0), max(radius, 0.0))
    else:
        radius = eps * (1 - (entries + 8) * unit) - unit * largest * math.sqrt(entries)
        length = delta.flatten(1).norm(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
        factor = (max(radius, 0.0) / length).clamp(max=1.0)
        moved = delta * factor.view(-1, *[1] * (point.ndim - 1))
    # The centre is in the box, so clamping only brings each coordinate nearer to it.
    return (centre + moved).clamp(*bounds)


def within_box(eps: float, inputs: Tensor, norm: str, bounds: tuple[float, float]) -> float:
    """`eps`, or twice the diameter of the box where eps is larger: nothing more can be reached, and its squares would
    overflow.

    Example:
        >>> within_box(1e30, torch.zeros(1, 4), "l2", (0.0, 1.0)), within_box(0.5, torch.zeros(1, 4), "l2", (0.0, 1.0))
        (4.0, 0.5)
    """
    across = (bounds[1] - bounds[0]) * (math.sqrt(math.prod(inputs.shape[1:])) if norm == "l2" else 1.0)
    return min(eps, 2 * across)


def random_point(
    centre: Float[Tensor, "batch *shape"],
    *,
    eps: float,
    norm: str,
    bounds: tuple[float, float],
    generator: torch.Generator,
) -> Float[Tensor, "batch *shape"]:
    """A random point of the ball and the box, drawn on the CPU so that every device gets the same."""
    noise = torch.randn(centre.shape, generator=generator, dtype=torch.float64)
    if norm == "linf":
        noise = noise.clamp(-1, 1)
    else:
        noise = noise / noise.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (centre.ndim - 1))
    return project(centre + (eps * noise).to(centre), centre, eps=eps, norm=norm, bounds=bounds)
