r"""Interval bounds: a box that contains the outputs of a network for all inputs in a box.

Every operation is bounded by its monotone parts in float64 and then widened by its own rounding error: gamma_{2k} m(X)
with X the larger end of each interval, for products and sums of k terms. Operations that are neither monotone entry by
entry nor affine are bounded around the value in the middle by their constant in linf.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.lowering import graph
from taut.certify.norms.gram import exact_float64
from taut.certify.program.affine import BatchNorm, Linear, Multiply, Scale
from taut.certify.program.blocks import Block
from taut.certify.program.convolution import Conv, ConvTranspose
from taut.certify.program.distances import Distance
from taut.certify.program.entries import Abs, LeakyReLU, Negate, Smooth
from taut.certify.program.fourier import Fourier
from taut.certify.program.joins import Add, Subtract
from taut.certify.program.learned import Fold, Learned
from taut.certify.program.operation import Operation, Stored
from taut.certify.program.pools import L2Norm, L2Pool, SumPool
from taut.certify.program.program import Node
from taut.certify.rounding import gamma, gradual_underflow, inflate
from taut.functional.linf_distance import blocks

Box = tuple[Tensor, Tensor]


@gradual_underflow()
@torch.no_grad()
def interval_bound(
    model: nn.Module, lower: Float[Tensor, "batch *shape"], upper: Float[Tensor, "batch *shape"]
) -> tuple[Float[Tensor, "batch *out"], Float[Tensor, "batch *out"]]:
    r"""Proven (lower, upper) bounds of every output over the box lower <= x <= upper, entry by entry (linf).

    For the network in real arithmetic with the weights as they are stored; in float64, rounded outward. The model is as
    in `robustness`. Each entry is bounded by itself, so that the boxes of deep networks of products are wide; through
    layers of distances they grow by no more than the box of the input.

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
    program = graph.lower(model, tuple(lower.shape[1:]))
    return program.run(box, _through)  # type: ignore[no-any-return]


def _through(place: int, node: Node, boxes: list[Box]) -> Box:
    operation = node.operation
    if node.joins:
        return _joined(operation, boxes)
    box = boxes[0]
    if isinstance(operation, Block):
        return operation.parts.run(box, _through)  # type: ignore[no-any-return]
    if isinstance(operation, Linear | Conv | ConvTranspose):
        return _affine(operation, box)
    if isinstance(operation, Distance):
        return _distance(operation, box)
    if isinstance(operation, Fourier):
        raise TypeError(f"module {node.name!r} ({node.kind}) cannot be bounded entry by entry: its rounding is not")
    falling = isinstance(operation, LeakyReLU) and operation.slope < 0.0  # and rising, to either side of 0
    if falling or isinstance(operation, Learned | Smooth | L2Norm | L2Pool):
        return _around(operation, box)
    if isinstance(operation, Abs):
        nearest = torch.maximum(box[0], -box[1]).clamp(min=0.0)
        return nearest, _largest(box)
    return _monotone(operation, box)


def _joined(operation: Operation, boxes: list[Box]) -> Box:
    lows, highs = zip(*boxes, strict=True)
    if isinstance(operation, Subtract):
        ends = lows[0] - highs[1], highs[0] - lows[1]
    else:
        ends = operation(*lows), operation(*highs)
    if not isinstance(operation, Add | Subtract):
        return ends
    return _widened(ends, gamma(1) * (_largest(boxes[0]) + _largest(boxes[1])))


def _monotone(operation: Operation, box: Box) -> Box:
    """Sorts, ReLU, rearrangements rise in every entry; factors, divided sums, negation and batch norm rise or fall."""
    ends = operation(box[0]), operation(box[1])
    if isinstance(operation, Scale | Multiply | Negate | BatchNorm | SumPool):
        ends = torch.minimum(*ends), torch.maximum(*ends)
    roundings = operation.roundings(tuple(box[0].shape[1:]))
    if not roundings:
        return ends
    return _widened(ends, gamma(2 * roundings) * operation.magnitude(_largest(box)))


def _around(operation: Operation, box: Box) -> Box:
    """Around the value in the middle: the constant in linf times half a side, its own or, where entries meet, the
    widest."""
    low, high = box
    middle = low + (high - low) / 2
    reach = inflate(torch.maximum(high - middle, middle - low))
    shape = tuple(low.shape[1:])
    value, constant = operation(middle), operation.proof("linf", shape).bound
    if isinstance(operation, Fold | L2Norm | L2Pool):
        reach = reach.flatten(1).amax(1).view(-1, *[1] * (value.ndim - 1))
    spread = inflate(constant * reach)
    rounding = gamma(operation.roundings(shape)) * operation.magnitude(middle) + gamma(1) * (value.abs() + spread)
    return _widened((value - spread, value + spread), rounding)


def _affine(operation: Linear | Conv | ConvTranspose, box: Box) -> Box:
    low, high = box
    weight = operation.weight.exact
    positive, negative = (_with(operation, part) for part in (weight.clamp(min=0.0), weight.clamp(max=0.0)))
    middle = operation(torch.zeros_like(low[:1]))  # the bias
    ends = positive(low) + negative(high) + middle, positive(high) + negative(low) + middle
    roundings = operation.roundings(tuple(low.shape[1:]))
    return _widened(ends, gamma(2 * roundings) * operation.magnitude(_largest(box)))


def _with(operation: Linear | Conv | ConvTranspose, weight: Tensor) -> Operation:
    """The operation with another weight, and without bias."""
    return replace(operation, weight=Stored(kept=operation.weight.kept, exact=weight), bias=None)


def _distance(step: Distance, box: Box) -> Box:
    """The farthest and the nearest point of each interval; sums of sorted distances are monotone in each of them."""
    weight = step.weight.exact
    shape = (*box[0].shape[:-1], len(weight))
    low, high = (end.reshape(-1, weight.shape[1]) for end in box)
    ends = low.new_empty(len(low), shape[-1]), low.new_empty(len(low), shape[-1])
    for rows, outputs in blocks(low, weight):
        below = low[rows, None] - weight[outputs]
        above = weight[outputs] - high[rows, None]
        ends[0][rows, outputs] = _reduced(step, torch.maximum(below, above).clamp_(min=0.0))
        ends[1][rows, outputs] = _reduced(step, torch.maximum(-below, -above))
    farthest = torch.maximum(step.magnitude(box[0]), step.magnitude(box[1]))
    bias = 0.0 if step.bias is None else step.bias.exact
    rounding = gamma(step.roundings(())) * farthest
    return _widened((ends[0].reshape(shape) + bias, ends[1].reshape(shape) + bias), rounding)


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
