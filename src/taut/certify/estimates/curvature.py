"""Curvature of a scalar function at each sample: the largest eigenvalue of its Hessian, by Lanczos."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.estimates.estimate import usable
from taut.certify.estimates.lengths import lengths, per_sample

_SPENT = 64
"""A new direction shorter than so many roundings of the largest product so far is rounding alone."""


def curvature_estimate(
    function: Callable[[Tensor], Tensor],
    inputs: Float[Tensor, "batch *shape"],
    *,
    steps: int = 12,
    seed: int = 0,
) -> Float[Tensor, " batch"]:
    r"""Largest eigenvalue of the Hessian of `function` at each sample, from below: at most it, up to rounding.

    `function` maps a batch to one number a sample, each of its own sample alone, and is differentiated twice; the
    Hessian is that with respect to the sample. Lanczos with full orthogonalisation makes `steps` products with the
    Hessian a batch, which is exact once `steps` reaches the number of inputs of a sample; the start is a random
    direction that `seed` fixes. Where the function is linear at the sample the result is 0.

    Of a network that is linear in pieces, the second derivative is zero wherever it exists, so that all the curvature
    found is that of what comes after it, the loss: kinks do not count, and the value at a sample says nothing about
    the next piece.

    Shapes: (batch, *shape) -> (batch,), in the type of the inputs; take float64.

    Raises ValueError for steps below 1, no inputs or inputs that are not finite; TypeError for a function that does
    not return one number a sample.

    Source: Lanczos (1950); Finlay, Calder, Abbasi and Oberman (2018) for its use.

    >>> import torch
    >>> x = torch.zeros(1, 2, dtype=torch.float64)
    >>> round(float(curvature_estimate(lambda x: 3 * x[:, 0] ** 2 - x[:, 1] ** 2, x)), 9)
    6.0
    """
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    points = usable(inputs).detach()
    with torch.enable_grad():
        points = points.clone().requires_grad_(True)
        values = function(points)
        if not isinstance(values, Tensor) or values.shape != points.shape[:1]:
            found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(f"the function must return one number a sample, shape {(len(points),)}, got {found}")
        gradient = _gradient(values.sum(), points, create_graph=True)
    generator = torch.Generator("cpu").manual_seed(seed)
    start = torch.randn(points.shape[1:], generator=generator, dtype=torch.float64).to(points)
    return _largest(lambda v: _product(gradient, points, v), start.expand_as(points), min(steps, points[0].numel()))


def _gradient(value: Tensor, points: Tensor, *, create_graph: bool = False) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(points)
    (found,) = torch.autograd.grad(value, points, create_graph=create_graph, retain_graph=True, allow_unused=True)
    return torch.zeros_like(points) if found is None else found


def _product(gradient: Tensor, points: Tensor, direction: Tensor) -> Tensor:
    """Hessian times direction, sample by sample."""
    if not gradient.requires_grad:
        return torch.zeros_like(points)
    with torch.enable_grad():
        slope = (gradient * direction).sum()
    return _gradient(slope, points).detach()


def _largest(apply: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    """Largest Ritz value of each sample in the Krylov space of the start.

    Where the space ends early, the new direction is nothing but rounding: the sample's part of the small matrix is
    filled with its first Rayleigh quotient, which lies below the largest value.
    """
    basis = [start / per_sample(lengths(start, "l2"), start)]
    small = start.new_zeros(len(start), steps, steps)
    alive = torch.ones(len(start), dtype=torch.bool, device=start.device)
    size = start.new_zeros(len(start))
    for step in range(steps):
        image = apply(basis[step])
        size = torch.maximum(size, lengths(image, "l2"))
        diagonal = _dot(basis[step], image)
        small[:, step, step] = torch.where(alive, diagonal, small[:, 0, 0]) if step else diagonal
        if step + 1 == steps:
            break
        for _ in range(2):
            for old in basis:
                image = image - per_sample(_dot(old, image), image) * old
        length = lengths(image, "l2")
        alive = alive & (length > _SPENT * torch.finfo(length.dtype).eps * size)
        if not bool(alive.any()):
            small[:, range(step + 1, steps), range(step + 1, steps)] = small[:, :1, 0]
            break
        off = torch.where(alive, length, 0.0)
        small[:, step, step + 1] = small[:, step + 1, step] = off
        basis.append(torch.where(per_sample(alive, image), image / per_sample(length, image), 0.0))
    return torch.linalg.eigvalsh(small)[:, -1]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1)
