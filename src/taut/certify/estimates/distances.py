"""How far the nearest misclassified point may be, from a loss and its derivatives: estimates, which prove nothing."""

import torch
from jaxtyping import Float
from torch import Tensor


def first_order_distance_estimate(gap: Float[Tensor, " batch"], slope: float) -> Float[Tensor, " batch"]:
    r"""gap / L: the distance over which a loss that grows at most at rate L makes up its gap. An estimate.

    `gap` is how much the loss must grow for the sample to be misclassified: the least loss of any misclassified point
    less that of the sample; no more than 0 gives the distance 0. `slope` is L, the largest dual norm of the loss's
    gradient that was seen. Were L that of the whole space this would be a bound; from samples it may be too large.

    Errors: ValueError for a slope that is negative or not finite. Source: Finlay, Calder, Abbasi and Oberman (2018).

    >>> import torch
    >>> first_order_distance_estimate(torch.tensor([1.0, -1.0]), slope=2.0)
    tensor([0.5000, 0.0000])
    """
    if not 0.0 <= slope < torch.inf:
        raise ValueError(f"slope must be a finite number >= 0, got {slope}")
    return torch.where(gap > 0, gap / slope, 0.0)


def second_order_distance_estimate(
    gap: Float[Tensor, " batch"], slope: Float[Tensor, " batch"], curvature: float
) -> Float[Tensor, " batch"]:
    r"""(-g + sqrt(g^2 + 2 C gap)) / C, the r at which g r + C r^2 / 2 reaches the gap. An estimate.

    `gap` as for the first order; `slope` is g, the dual norm of the loss's gradient at the sample; `curvature` is C,
    the largest second derivative along a direction of length 1 that was seen, 0 for none, which leaves gap / g. Were C
    that of the whole space this would be a bound. It is infinite where neither slope nor curvature closes the gap.

    Computed as 2 gap / (g + sqrt(g^2 + 2 C gap)), the same number without cancellation.

    Errors: ValueError for a curvature that is negative or not finite.
    Source: Finlay, Calder, Abbasi and Oberman (2018).

    >>> import torch
    >>> second_order_distance_estimate(torch.tensor([4.0]), torch.tensor([1.0]), curvature=6.0)
    tensor([1.])
    """
    if not 0.0 <= curvature < torch.inf:
        raise ValueError(f"curvature must be a finite number >= 0, got {curvature}")
    positive = gap.clamp_min(0)
    root = (slope * slope + 2 * curvature * positive).sqrt()
    return torch.where(gap > 0, 2 * positive / (slope + root), 0.0)
