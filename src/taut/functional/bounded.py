"""Matrices of norm at most 1 that need not be orthogonal: spectral normalisation, almost-orthogonal scaling, unit
rows."""

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._gram_powers import gram_powers
from taut.functional._precision import at_least_float32, full_precision


def gram_norm(weight: Float[Tensor, "out in"], *, iterations: int = 8) -> Float[Tensor, ""]:
    r"""Upper bound of the largest singular value by Gram iteration, at most rank^(2^-(iterations+1)) too large.

    G_1 = W^T W and G_{t+1} = G_t^2 / ||G_t||_F^2 with the scale kept in logs; ||W||_2 <= ||G_t||_F^(2^-t), from above
    at every t. Deterministic and differentiable. Up to rounding: a proof in floating point is
    `taut.certify.spectral_norm_bound`.

    Source: Delattre et al. (2023), algorithm 1.

    >>> import torch
    >>> bound = gram_norm(torch.diag(torch.tensor([3.0, 1.0])))
    >>> bool((bound >= 3.0) & (bound < 3.001))
    True
    """
    if iterations < 1:
        raise ValueError(f"iterations must be >= 1, got {iterations}")
    with full_precision(weight.device):
        w = at_least_float32(weight)
        scale = _largest(w)
        tall = (w.mT if w.shape[0] < w.shape[1] else w) / scale
        log_norm = gram_powers(tall, iterations)[0]
        slack = 1.0 + 4 * (max(weight.shape) + iterations) * torch.finfo(w.dtype).eps
        return log_norm.exp() * scale * slack


def spectral_normalize(weight: Float[Tensor, "out in"], *, iterations: int = 8) -> Float[Tensor, "out in"]:
    r"""W / b with b >= ||W||_2 by Gram iteration: spectral norm at most 1 (l2), and at least rank^(-2^-(iterations+1)).

    The zero matrix stays zero. Source: Miyato et al. (2018), with a bound in place of their power-iteration estimate.

    >>> import torch
    >>> spectral_normalize(torch.tensor([[3.0, 4.0]])).norm() <= 1
    tensor(True)
    """
    w = at_least_float32(weight)
    w = w / _largest(w)
    return (w / gram_norm(w, iterations=iterations).clamp_min(torch.finfo(w.dtype).tiny)).to(weight.dtype)


def almost_orthogonal(weight: Float[Tensor, "out in"], *, t: int = 1) -> Float[Tensor, "out in"]:
    r"""W D, with D_jj = (sum_i |(W^T W)^(2^(t-1))|_ij)^(-2^-t): spectral norm at most 1 (l2).

    Equality for orthogonal columns. Zero columns stay zero. t = 1 is AOL; larger t is tighter and costs one product
    each.

    Source: Prach and Lampert (2022), theorem 1.

    >>> import torch
    >>> almost_orthogonal(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([[1.0000, 0.0000],
            [0.0000, 1.0000]])
    """
    if t < 1:
        raise ValueError(f"t must be >= 1, got {t}")
    with full_precision(weight.device):
        w = at_least_float32(weight)
        tiny, eps = torch.finfo(w.dtype).tiny, torch.finfo(w.dtype).eps
        w = w / _largest(w)
        gram = w.mT @ w
        log_scale = torch.zeros((), dtype=w.dtype, device=w.device)
        for k in range(t - 1):
            norm = torch.linalg.matrix_norm(gram).clamp_min(tiny)
            log_scale = log_scale + norm.log() * 0.5 ** (k + 1)
            gram = gram / norm
            gram = gram @ gram
        sums = gram.abs().sum(0).clamp_min(tiny)
        slack = 1.0 + 4 * max(weight.shape) * eps
        return (w * (-(sums.log() * 0.5**t + log_scale)).exp() / slack).to(weight.dtype)


def unit_rows(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""Rows divided by their l2 norms: every output is 1-Lipschitz (l2), the whole map is not. Zero rows stay zero.

    >>> import torch
    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    with full_precision(weight.device):
        w = at_least_float32(weight)
        tiny = torch.finfo(w.dtype).tiny
        largest = w.detach().abs().amax(1, keepdim=True)
        w = w / torch.where(largest > 0, largest, 1.0)
        return (w / torch.linalg.vector_norm(w, dim=1, keepdim=True).clamp_min(tiny)).to(weight.dtype)


def _largest(weight: Tensor) -> Tensor:
    """Largest magnitude, a constant for the gradient; 1 for the zero matrix."""
    largest = weight.detach().abs().amax()
    return torch.where(largest > 0, largest, 1.0)
