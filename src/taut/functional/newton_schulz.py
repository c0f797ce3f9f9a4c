"""Orthogonalisation by matrix products alone: composed minimax odd polynomials, and the derivative by conjugate
gradients.

Polynomials p(s) = s (a + b s^2 + c s^4) are chosen so that max |p - 1| over [l, u] is least; composing them drives
every singular value in [l, u] to 1 in far fewer products than the Taylor coefficients of Björck (Amsel et al., 2025).
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from taut.functional._gram import less_transpose

_SMALLEST = 1e-3  # the schedule converges from singular values down to this share of the proven norm bound
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
_DERIVATIVE_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
_ITERATIONS = 60
_UNASKED = 12


def newton_schulz_polar(weight: Tensor) -> Tensor | None:
    """Polar factor of a tall matrix with entries up to 1, or None when it is too ill-conditioned for the schedule."""
    eye = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
    gram = weight.mT @ weight
    x = weight / norm_bound_from_gram(gram).sqrt().clamp_min(torch.finfo(weight.dtype).tiny)
    for a, b, c in minimax_schedule(_SMALLEST, float(torch.finfo(weight.dtype).eps)):
        gram = x.mT @ x
        x = x @ (a * eye + b * gram + c * (gram @ gram))
    for _ in range(6):  # plain steps last: they map [0, sqrt 3] into [0, 1]
        gram = x.mT @ x
        distance = float((gram - eye).abs().amax())
        x = 1.5 * x - 0.5 * (x @ gram)
        if distance < _TOLERANCE[x.dtype]:
            return x
    return None


def norm_bound_from_gram(gram: Tensor, *, squarings: int = 3) -> Tensor:
    """Upper bound of the largest eigenvalue of a positive semi-definite matrix (Delattre et al., 2023)."""
    scale = gram.abs().amax((-2, -1), keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
    power, log_scale = gram / scale, scale.log()
    for k in range(squarings):
        power = power @ power
        norm = torch.linalg.matrix_norm(power, keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
        power, log_scale = power / norm, log_scale + norm.log() * 0.5 ** (k + 1)
    slack = 1.0 + 8 * gram.shape[-1] * torch.finfo(gram.dtype).eps
    return log_scale.exp() * slack  # after normalisation ||power||_F = 1


def polar_derivative(weight: Tensor, factor: Tensor, grad: Tensor) -> Tensor | None:
    r"""Adjoint derivative of the polar factor: Q S + (I - Q Q^T) G H^-1, where H = Q^T W and H S + S H = Q^T G - G^T Q.

    The Sylvester equation is solved by conjugate gradients, one matrix product an iteration (S is skew). None when it
    does not converge, which means an ill-conditioned weight.
    """
    h = factor.mT @ weight
    h = 0.5 * (h + h.mT)
    scale = h.abs().amax((-2, -1), keepdim=True)
    sound = (scale > 0).all()
    inner = factor.mT @ grad
    outside = None
    if weight.shape[-2] > weight.shape[-1]:
        cholesky, info = torch.linalg.cholesky_ex(h)
        sound = sound & (info == 0).all()
        outside = torch.cholesky_solve((grad - factor @ inner).mT, cholesky).mT
    right = less_transpose(inner)
    largest = right.abs().amax((-2, -1), keepdim=True)
    largest = torch.where(largest > 0, largest, 1.0)  # squares of what is below 1e-20 would vanish
    solution = _solve_skew_sylvester(h / scale, right / largest, sound)
    if solution is None:
        return None
    result = factor @ (solution * (largest / scale))
    return result if outside is None else result + outside


def _solve_skew_sylvester(h: Tensor, right: Tensor, sound: Tensor) -> Tensor | None:
    """S with H S + S H = right, for positive definite H and skew right; None where it is not found or not `sound`.

    The device is asked whether that is so after every few iterations: the few too many cost less than asking.
    """
    diagonal = h.diagonal(dim1=-2, dim2=-1)
    preconditioner = (diagonal.unsqueeze(-1) + diagonal.unsqueeze(-2)).clamp_min(torch.finfo(h.dtype).tiny).reciprocal()
    solution = torch.zeros_like(right)
    residual = right
    direction = z = preconditioner * residual
    rho = _dot(residual, z)
    target = _DERIVATIVE_TOLERANCE[h.dtype] * torch.linalg.matrix_norm(right, keepdim=True)
    for k in range(_ITERATIONS + 1):
        if k and k % _UNASKED == 0:
            solved = (torch.linalg.matrix_norm(residual, keepdim=True) <= target).all()
            solved, usable = torch.stack((solved, sound)).tolist()
            if solved or not usable:
                return solution if usable else None
        product = h @ direction
        image = less_transpose(product)
        step = rho / _dot(direction, image).clamp_min(torch.finfo(h.dtype).tiny)
        solution = solution + step * direction
        residual = residual - step * image
        z = preconditioner * residual
        rho, previous = _dot(residual, z), rho
        direction = z + (rho / previous.clamp_min(torch.finfo(h.dtype).tiny)) * direction
    return None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1), keepdim=True)


@cache
def minimax_schedule(smallest: float, eps: float) -> tuple[tuple[float, float, float], ...]:
    """Coefficients (a, b, c) that take [smallest, 1] to within sqrt(eps) of 1, one optimal quintic after another."""
    steps: list[tuple[float, float, float]] = []
    low, high = smallest, 1.0
    while 1.0 - low / high > 0.1 * eps**0.5:
        a, b, c = minimax_quintic(low, high)
        steps.append((a, b, c))
        grid = np.linspace(low, high, 4001)
        image = grid * (a + b * grid**2 + c * grid**4)
        low, high = float(image.min()), float(image.max())
    return tuple(steps)


def minimax_quintic(low: float, high: float) -> tuple[float, float, float]:
    """The odd quintic closest to 1 on [low, high] in the maximum norm, by the Remez exchange."""
    inner = np.array([0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high])
    coefficients = np.array([1.875, -1.25, 0.375])
    for _ in range(50):
        points = np.array([low, *inner, high])
        signs = np.array([1.0, -1.0, 1.0, -1.0])
        system = np.stack([points, points**3, points**5, signs], axis=1)
        coefficients = np.linalg.solve(system, np.ones(4))[:3]
        a, b, c = coefficients
        roots = np.roots([5 * c, 3 * b, a])
        moved = np.sqrt(np.sort(np.abs(roots.real)))
        converged = np.allclose(moved, inner, rtol=1e-12)
        inner = np.clip(moved, low, high)
        if converged or high - low < 1e-7:
            break
    a, b, c = (float(v) for v in coefficients)
    return a, b, c
