r"""LipSDP-neuron (Fazlyab et al., 2019) without a solver: multipliers found by descent, started from ECLipsE-Fast.

The free numbers are log (v_i / a_i), with a_i the norm of row i of R Y R, so that v follows when the layers before it
change. As long as every V > R Y R, which a Cholesky factor shows, they give an ellipsoid at the end. What is minimised
is smooth, and tends to the logarithm of the largest eigenvalue at the end as p grows: the logarithm of
(sum of lambda^p)^(1/p) over the eigenvalues, plus the barrier -log det (I - V^-1 R Y R) / (p n), averaged over the
layers of widths n. Nothing here is proven, nor needs to be.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.chains.minimise import minimise
from taut.certify.chains.proposals import Proposal, behind, behind_and_weighted, room, weighted
from taut.certify.chains.sectors import Sector

_POWERS = ((16.0, 0.5), (128.0, 0.25), (1024.0, 0.25))
"""p, and its share of the evaluations."""
_FEWEST, _MOST = 30, 300
_CUBES = 8.0e9
"""Evaluations times the sum of cubed widths: a few seconds on one core; wider networks take the fewest evaluations."""


def lipsdp(start: Proposal, *, evaluations: int | None = None) -> Proposal:
    """The best multipliers that a descent from `start` meets; `start` itself where there are none to improve."""
    sizes = [0 if v is None else len(v) for v in start.multipliers]
    if not sum(sizes):
        return start
    total = _affordable(start) if evaluations is None else evaluations
    best, gain = start.multipliers, start.gain

    def objective(power: float) -> Callable[[Tensor], tuple[float, Tensor]]:
        def evaluate(point: Tensor) -> tuple[float, Tensor]:
            nonlocal best, gain
            with torch.enable_grad():
                free = point.clone().requires_grad_()
                multipliers, last, barrier = _forward(start, free.split(sizes))
                if last is None or not bool(last.isfinite().all()):
                    return math.inf, point
                value, top, slopes = smooth_maximum(last.detach(), power)
                (gradient,) = torch.autograd.grad((slopes * last).sum() + barrier / power, free)
                value += float(barrier.detach()) / power
            if top < gain:
                best, gain = multipliers, top
            return value, gradient

        return evaluate

    point = _relative(start)
    for power, share in _POWERS:
        point = minimise(objective(power), point, evaluations=math.ceil(share * total))
    return replace(start, multipliers=best, gain=gain)


def _affordable(start: Proposal) -> int:
    cubes = sum(float(len(layer.weight)) ** 3 for layer in start.layers)
    return int(min(_MOST, max(_FEWEST, _CUBES / cubes)))


def _relative(start: Proposal) -> Float[Tensor, " free"]:
    """log (v / a) of all layers, with v moved off the edge of what is allowed."""
    parts: list[Tensor] = []
    after: Tensor | None = None
    for layer, v in zip(start.layers, start.multipliers, strict=True):
        before = weighted(layer.weight, after)
        if layer.sector is None or v is None:
            after = before
        else:
            v = v * layer.sector.margin()
            parts.append((v / _scale(layer.sector, before)).log())
            after = behind(layer.sector, v, before)
    return torch.cat(parts)


def _scale(sector: Sector, before: Tensor) -> Tensor:
    """Norms of the rows of R Y R, for a group the largest; a little more, so that none is zero."""
    squares = sector.radius(sector.radius(before).T).square()
    return (sector.gather(squares.sum(dim=1)) + 1e-24 * squares.sum()).sqrt()


def _forward(start: Proposal, free: tuple[Tensor, ...]) -> tuple[tuple[Tensor | None, ...], Tensor | None, Tensor]:
    """The multipliers, the ellipsoid at the end of the chain (None where V is too small), and the barrier."""
    found: list[Tensor | None] = []
    barrier = torch.zeros((), dtype=torch.float64)
    ellipsoid = weighted(start.layers[0].weight, None)
    for position, (layer, numbers) in enumerate(zip(start.layers, free, strict=True)):
        final = position + 1 == len(start.layers)
        following = None if final else start.layers[position + 1].weight
        if layer.sector is None:
            ellipsoid = ellipsoid if following is None else weighted(following, ellipsoid)
            found.append(None)
            continue
        v = numbers.exp() * _scale(layer.sector, ellipsoid)
        found.append(v.detach())
        factor = room(layer.sector, v, ellipsoid)
        if factor is None:
            return (), None, barrier
        lost = layer.sector.spread(v).log() - 2.0 * factor.diagonal().log()
        barrier = barrier + lost.mean() / len(start.layers)
        if following is None:
            following = torch.eye(len(ellipsoid), dtype=torch.float64)
        ellipsoid = behind_and_weighted(following, layer.sector, v, ellipsoid, factor)
    return tuple(found), ellipsoid, barrier


def smooth_maximum(ellipsoid: Tensor, power: float) -> tuple[float, float, Tensor]:
    """log of the p-norm of the eigenvalues, the largest of them, and the gradient of the first; NaN on failure."""
    try:
        values, vectors = torch.linalg.eigh(ellipsoid)
    except torch.linalg.LinAlgError:
        return math.nan, math.nan, ellipsoid
    logs = values.clamp_min(1e-300).log()
    shares = torch.softmax(power * logs, dim=0)
    value = float(torch.logsumexp(power * logs, dim=0)) / power
    return value, float(values[-1]), (vectors * (shares / values.clamp_min(1e-300))) @ vectors.T
