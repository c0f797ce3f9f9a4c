r"""Interval bounds: a box that contains the outputs of a sequential network for all inputs in a box.

Every step is bounded by its monotone parts in float64 and then widened by its own rounding error: gamma_{2n+2} (|W|
|X| + |b|) for an affine step, with X the larger end of each interval, and that of `distances` for a layer of distances.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.norms.gram import exact_float64
from taut.certify.rounding import gamma, gradual_underflow, inflate
from taut.certify.samples.distances import Distance
from taut.certify.samples.forward import row_sums
from taut.certify.samples.learned import Learned
from taut.certify.samples.steps import Affine, Exact, Factor, Step, steps_of
from taut.functional.linf_distance import blocks

Box = tuple[Tensor, Tensor]


@gradual_underflow()
@torch.no_grad()
def interval_bound(
    model: nn.Module, lower: Float[Tensor, "batch *shape"], upper: Float[Tensor, "batch *shape"]
) -> tuple[Float[Tensor, "batch *out"], Float[Tensor, "batch *out"]]:
    r"""Proven (lower, upper) bounds of every output over the box lower <= x <= upper, entry by entry (linf).

    For the network in real arithmetic with the weights as they are stored; in float64, rounded outward. The model is as
    in `robustness`: Linear, layers of distances, sorts, ReLU, Abs, Flatten, factors, in Sequentials, folded or not.
    Each entry is bounded by itself, so that the boxes of deep networks of products are wide; through layers of
    distances they grow by no more than the box of the input.

    Errors: TypeError that names a module without a rule; ValueError for boxes that are empty, not finite, or of
    different shapes. Source: Gowal et al. (2018).

    >>> import torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(layer.weight, -1.0)
    >>> low, high = interval_bound(layer, torch.zeros(1, 2), torch.ones(1, 2))
    >>> -2.000001 < float(low) <= -2.0, 0.0 <= float(high) < 1e-6
    (True, True)
    """
    if lower.shape != upper.shape or lower.ndim < 2:
        shapes = f"{tuple(lower.shape)} and {tuple(upper.shape)}"
        raise ValueError(f"lower and upper must have one shape (samples, ...), got {shapes}")
    box = exact_float64(lower), exact_float64(upper)
    if bool((box[0] > box[1]).any()):
        raise ValueError(f"lower must not be above upper, got {float((box[0] - box[1]).max())} above")
    for step in steps_of(model):
        box = _through(step, box)
    return box


def _through(step: Step, box: Box) -> Box:
    if isinstance(step, Exact):
        return _exact(step, box)
    if isinstance(step, Factor):
        ends = step(box[0]), step(box[1])
        return _widened((torch.minimum(*ends), torch.maximum(*ends)), gamma(1) * row_sums(step, _largest(box)))
    if isinstance(step, Affine):
        return _affine(step, box)
    if isinstance(step, Learned):
        return _learned(step, box)
    return _distance(step, box)


def _exact(step: Exact, box: Box) -> Box:
    """Sorts, ReLU and rearrangements are monotone in every entry; the absolute value is not."""
    if step.function is not torch.abs:
        return step(box[0]), step(box[1])
    nearest = torch.maximum(box[0], -box[1]).clamp(min=0.0)
    return nearest, _largest(box)


def _learned(step: Learned, box: Box) -> Box:
    """Around the value in the middle: the constant in linf times half a side, its own or for pairs the widest."""
    low, high = box
    middle = low + (high - low) / 2
    reach = inflate(torch.maximum(high - middle, middle - low))
    if step.formula == "fold":
        reach = reach.flatten(1).amax(1).view(-1, *[1] * (low.ndim - 1))
    value, spread = step(middle), inflate(step.proof("linf").bound * reach)
    rounding = step.roundoff * step.magnitude(middle) + gamma(1) * (value.abs() + spread)
    return _widened((value - spread, value + spread), rounding)


def _affine(step: Affine, box: Box) -> Box:
    step(box[0][:0])  # checks the sizes
    low, high = box
    positive, negative = step.weight.clamp(min=0.0), step.weight.clamp(max=0.0)
    bias = 0.0 if step.bias is None else step.bias
    ends = low @ positive.T + high @ negative.T + bias, high @ positive.T + low @ negative.T + bias
    return _widened(ends, gamma(2 * step.weight.shape[1] + 2) * row_sums(step, _largest(box)))


def _distance(step: Distance, box: Box) -> Box:
    """The farthest and the nearest point of each interval; sums of sorted distances are monotone in each of them."""
    step(box[0][:0])  # checks the sizes
    shape = (*box[0].shape[:-1], len(step.weight))
    low, high = (end.reshape(-1, step.weight.shape[1]) for end in box)
    ends = low.new_empty(len(low), shape[-1]), low.new_empty(len(low), shape[-1])
    for rows, outputs in blocks(low, step.weight):
        below = low[rows, None] - step.weight[outputs]
        above = step.weight[outputs] - high[rows, None]
        ends[0][rows, outputs] = _reduced(step, torch.maximum(below, above).clamp_(min=0.0))
        ends[1][rows, outputs] = _reduced(step, torch.maximum(-below, -above))
    farthest = torch.maximum(step.magnitude(box[0]), step.magnitude(box[1]))
    bias = 0.0 if step.bias is None else step.bias
    return _widened((ends[0].reshape(shape) + bias, ends[1].reshape(shape) + bias), step.roundoff * farthest)


def _reduced(step: Distance, sizes: Tensor) -> Tensor:
    if step.q == 0.0:
        return sizes.amax(-1)
    ranks = step.ranks
    return sizes.topk(len(ranks)).values @ ranks


def _largest(box: Box) -> Tensor:
    """The largest absolute value of each interval."""
    return torch.maximum(box[0].abs(), box[1].abs())


def _widened(box: Box, error: Tensor) -> Box:
    """By twice the rounding error, which covers the rounding of the widening, and by one float."""
    room = inflate(2.0 * error)
    infinity = torch.full_like(room, torch.inf)
    return torch.nextafter(box[0] - room, -infinity), torch.nextafter(box[1] + room, infinity)
