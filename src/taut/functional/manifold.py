"""Steps on the Stiefel manifold, the matrices with orthonormal columns (rows, when wide)."""

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._gram import gram_matrix, less_transpose, symmetric_product
from taut.functional._precision import at_least_float32, full_precision
from taut.functional.polar import polar_factor

# Norm of the rotation up to which the exponential's Taylor polynomial of this degree is taken; beyond, the exponential.
_DEGREES = ((0.05, 2), (0.25, 3), (1.0, 4))
# A longer rotation is shortened to this: it goes round many times, and float32 does not resolve where it ends.
_LONGEST = 32.0
# Distance ||W^T W - I|| from which one Björck step (3/4 of the square is left) reaches rounding.
_NEAR = {torch.float32: 3e-4, torch.float64: 1e-8}
# What a retraction may leave of it without being followed by another.
_DONE = {torch.float32: 1e-7, torch.float64: 1e-16}
# Distances up to which the binomial series is taken: by row sums, which may be sqrt(n) times the norm, and by its norm.
_FAR, _CONVERGES = 8.0, 0.5
# (1 + x)^(-1/2) - 1 up to the fourth power; 63/256 x^5 is the next.
_SERIES = (-1 / 2, 3 / 8, -5 / 16, 35 / 128)


@torch.no_grad()
def stiefel_step(weight: Float[Tensor, "out in"], update: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""The rotation of orthogonal W by the tangent part of an update: exp(A) W, all singular values 1 (l2).

    A is the skew matrix with A W = the update's projection on the tangent space, of least norm outside W's span; for
    square W that is W exp(skew(W^T update)), skew(M) = (M - M^T) / 2. The exponential is a Taylor polynomial of degree
    2, 3, 4 for ||A||_F < 0.05, 0.25, 1, and exact beyond; `stiefel_retract` takes off what the polynomial leaves.
    A pull towards the origin (weight decay) has no tangent part and does nothing.

    In float32 or better, whatever the dtype of the weight: to 1e-6 in float32 and 1e-14 in float64.

    Source: LipNeXt (2026) for the degrees; Edelman, Arias and Smith (1998) for rectangular W.

    >>> import torch
    >>> turned = stiefel_step(torch.eye(2), torch.tensor([[0.0, 0.01], [-0.01, 0.0]]))
    >>> torch.allclose(turned[0, 1], torch.tensor(0.01).sin(), atol=1e-6)
    True
    """
    wide = weight.shape[0] < weight.shape[1]
    with full_precision(weight.device):
        w, change = (at_least_float32(t.mT if wide else t) for t in (weight, update))
        change = change.to(w.dtype)
        inner = w.mT @ change
        turn = 0.5 * less_transpose(inner)
        outside = change - w @ inner if w.shape[0] > w.shape[1] else None
        square = turn.square().sum() + (0.0 if outside is None else 2 * outside.square().sum())
        norm = float(square.sqrt())
        if norm > _LONGEST:
            turn, outside = (None if t is None else t * (_LONGEST / norm) for t in (turn, outside))
        stepped = _rotated(w, turn, outside, norm)  # type: ignore[arg-type]
    return stiefel_retract(stepped.mT if wide else stepped).to(weight.dtype)


@torch.no_grad()
def stiefel_retract(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""The polar factor: the nearest orthogonal matrix, all singular values 1 (l2); cheap when W is nearly one.

    To 1e-6 in float32 and 1e-14 in float64. With E = W^T W - I it is W (I + E)^(-1/2): one Björck step for E at
    rounding, five terms of the binomial series (three products of the smaller side and one of W) for ||E|| < 1/2,
    `polar_factor` beyond. No derivative.

    >>> import torch
    >>> stiefel_retract(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    with full_precision(weight.device):
        w = at_least_float32(weight)
        rows = w.shape[0] < w.shape[1]
        for _ in range(4):
            error = gram_matrix(w.mT if rows else w)
            error.diagonal().sub_(1.0)
            distance = float(error.abs().sum(1).amax())
            if not distance < _FAR:  # NaN is not near
                break
            left, change = 0.0, -0.5 * error
            if distance >= _NEAR[w.dtype]:
                square = symmetric_product(error, error)
                distance = min(distance, float(square.abs().sum(1).amax()) ** 0.5)
                if distance >= _CONVERGES:
                    break
                left = 0.5 * distance**5 / (1 - distance)
                one, two, three, four = _SERIES
                higher = symmetric_product(square, torch.add(three * error, square, alpha=four))
                change = higher.add_(error, alpha=one).add_(square, alpha=two)
            a, b = (change, w) if rows else (w, change)
            w = torch.addmm(w, a, b)
            if left < _DONE[w.dtype]:
                return w.to(weight.dtype)
        return polar_factor(weight)


def _rotated(w: Tensor, turn: Tensor, outside: Tensor | None, norm: float) -> Tensor:
    """exp(A) W for A W = W turn + outside, with turn skew and outside orthogonal to W."""
    degree = next((degree for limit, degree in _DEGREES if norm < limit), None)
    if degree is not None:
        return _taylor(w, turn, outside, degree)
    if outside is None:
        return w @ torch.linalg.matrix_exp(turn)
    basis, r = torch.linalg.qr(outside)
    n = len(turn)
    block = torch.cat((torch.cat((turn, -r.mT), 1), torch.cat((r, torch.zeros_like(turn)), 1)))
    rotation = torch.linalg.matrix_exp(block)[:, :n]
    return w @ rotation[:n] + basis @ rotation[n:]


def _taylor(w: Tensor, turn: Tensor, outside: Tensor | None, degree: int) -> Tensor:
    """The Taylor polynomial of exp(A) W, with small matrices X and Y in W X + outside Y alone.

    A W = W turn + outside and A outside = -W outside^T outside, as W is orthogonal: A (W X + outside Y) =
    W (turn X - outside^T outside Y) + outside X.
    """
    if outside is None:
        total = term = w
        for k in range(1, degree + 1):
            term = (term @ turn) / k  # A commutes past W
            total = total + term
        return total
    inner = gram_matrix(outside)
    eye = torch.eye(len(turn), dtype=w.dtype, device=w.device)
    x, y = turn, eye
    along, across = eye + x, y
    for k in range(2, degree + 1):
        x, y = (turn @ x - inner @ y) / k, x / k
        along, across = along + x, across + y
    return torch.addmm(w @ along, outside, across)
