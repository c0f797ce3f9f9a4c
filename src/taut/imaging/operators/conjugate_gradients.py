r"""Conjugate gradients on I + step A^T A, with an error that follows from the residual."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.rounding import gamma

_EXTRA = 4.0
"""The recursive residual is driven to so many eps of |v|; below it is rounding."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """x with (I + step A^T A) x = v, nearly."""

    image: Tensor
    """x, of the shape of v."""
    error_bound: float
    """Bound of |x - exact| in l2 over all images, before the rounding of a closed form (0) or of one residual."""
    exact: bool
    """Whether it comes from a closed form."""


@torch.no_grad()
def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], v: Float[Tensor, "batch c h w"], *, step: float, iterations: int = 200
) -> Solution:
    r"""Solve (I + step N) x = v for symmetric N >= 0, `normal`, each image by itself.

    I + step N >= I, so that the l2 error is at most the l2 norm of the residual, whatever the iteration did. The last
    residual is computed in float64, and its own rounding added for the sums; that of `normal` is not.

    Source: Hestenes and Stiefel (1952).

    >>> v = torch.ones(1, 1, 2, 2)
    >>> conjugate_gradients(lambda x: 3.0 * x, v, step=1.0).image[0, 0, 0]
    tensor([0.2500, 0.2500])
    """
    # a power of two, exactly: squares of very large or small numbers would leave the range of float32
    size = torch.exp2(torch.frexp(v.abs().amax(dim=(1, 2, 3), keepdim=True)).exponent.to(v.dtype) - 1.0)
    v = v / size
    x = torch.zeros_like(v)
    residual = v.clone()
    direction = residual.clone()
    square = _dot(residual, residual)
    target = (_EXTRA * torch.finfo(v.dtype).eps) ** 2 * square
    for _ in range(iterations):
        if bool((square <= target).all()):
            break
        image = direction + step * normal(direction)
        curvature = _dot(direction, image)
        # an image that is done (or zero) takes no step: 0 / 0 would spoil it
        moves = (square > target) & (curvature > 0.0)
        length = torch.where(moves, square / torch.where(moves, curvature, 1.0), 0.0)
        x = x + length * direction
        residual = residual - length * image
        following = _dot(residual, residual)
        direction = residual + torch.where(moves, following / torch.where(moves, square, 1.0), 0.0) * direction
        square = following
    exact = x.double()
    left = (v.double() - exact - step * normal(exact)) * size.double()
    error = float(torch.linalg.vector_norm(left)) * (1.0 + gamma(left.numel() + 2))
    return Solution(image=x * size, error_bound=error, exact=False)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One inner product for each image."""
    return (a * b).sum(dim=(1, 2, 3), keepdim=True)
