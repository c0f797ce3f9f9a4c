"""Orthogonal matrices by other maps: Cayley transform, matrix exponential, Cholesky (Gram-Schmidt); and one Björck
step."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._gram import gram_matrix, less_transpose
from taut.functional._precision import at_least_float32, full_precision, power_of_two_above

# Free weights are capped at these row sums: the maps have long saturated there, and float32 can still resolve them.
_CAYLEY_CAP = 8.0
_EXPONENTIAL_CAP = 32.0
# Distance from orthonormality after one Cholesky round from which a first-order second round reaches machine precision.
_REFINED = {torch.float32: 5e-4, torch.float64: 2e-8}


def cayley(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""Cayley image of a free matrix: all singular values are 1 (l2), to 1e-6 in float32 and 1e-14 in float64.

    A tall matrix is split into a square U and a rest V; with A = U - U^T + V^T V the result is
    [(I + A)^-1 (I - A); -2 V (I + A)^-1]. Wide matrices are transposed. Differentiable any number of times.

    Source: Trockman and Kolter (2021), and Pauli et al. (2021) for the rectangular form.

    >>> import torch
    >>> q = cayley(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    >>> torch.allclose(q.T @ q, torch.eye(3), atol=1e-6)
    True
    """
    wide = weight.shape[0] < weight.shape[1]
    with full_precision(weight.device):
        tall = _capped(at_least_float32(weight.mT if wide else weight), _CAYLEY_CAP)
        n = tall.shape[1]
        u, v = tall[:n], tall[n:]
        eye = torch.eye(n, dtype=tall.dtype, device=tall.device)
        a = less_transpose(u) + v.mT @ v
        inverse = torch.linalg.inv_ex(eye + a).inverse  # its symmetric part is at least I; two products backward
        factor = _polished(torch.cat((2 * inverse - eye, -2 * (v @ inverse))))
    return (factor.mT if wide else factor).to(weight.dtype)


def exponential(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""First columns of exp(S), S the skew matrix of the strict lower triangle of `weight`: all singular values 1 (l2).

    The lower triangle of the tall form fills the first columns of a square skew S. To 1e-6 in float32 and 1e-14 in
    float64. Costs a square exponential of the larger side. Differentiable any number of times.

    Source: Lezcano-Casado and Martínez-Rubio (2019).

    >>> import torch
    >>> q = exponential(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    >>> torch.allclose(q @ q.T, torch.eye(3), atol=1e-6)
    True
    """
    wide = weight.shape[0] < weight.shape[1]
    with full_precision(weight.device):
        tall = at_least_float32(weight.mT if wide else weight)
        m, n = tall.shape
        lower = torch.nn.functional.pad(tall.tril(-1), (0, m - n))
        factor = torch.linalg.matrix_exp(_capped(lower - lower.mT, _EXPONENTIAL_CAP))[:, :n]
        factor = _polished(factor)
    return (factor.mT if wide else factor).to(weight.dtype)


def _polished(factor: Tensor) -> Tensor:
    """`factor`, orthogonal but for rounding, brought nearer by two steps that have no derivative of their own.

    A step towards the polar factor leaves out the part of a change that is not tangent to the orthogonal matrices, and
    changes of `factor` are tangent: to first order it is the identity.
    """
    with torch.no_grad():
        near = bjorck_step(bjorck_step(factor))
    return factor + (near - factor).detach()


def bjorck_step(weight: Float[Tensor, "*batch out in"], *, beta: float = 0.5) -> Float[Tensor, "*batch out in"]:
    r"""(1 + beta) W - beta W W^T W: one step towards the polar factor.

    For singular values up to sqrt(3) and beta <= 1/2. Maps singular values in [0, 1] into [0, 1]. Source: Björck and
    Bowie (1971).

    >>> import torch
    >>> bjorck_step(torch.tensor([[0.5]]))
    tensor([[0.6875]])
    """
    if weight.shape[-2] < weight.shape[-1]:
        return (1 + beta) * weight - beta * ((weight @ weight.mT) @ weight)
    return (1 + beta) * weight - beta * (weight @ (weight.mT @ weight))


def cholesky_factor(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""Gram-Schmidt orthonormalisation on the smaller side: all singular values are 1 (l2).

    To 1e-6 in float32 and 1e-14 in float64. For wide W it is L^-1 W with W W^T = L L^T, refined so that rounding does
    not show; ill-conditioned, rank-deficient and zero matrices go through a Householder QR, which is the same map
    where both exist. Exact derivative, once.

    >>> import torch
    >>> cholesky_factor(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if weight.numel() == 0:
        return weight.clone()
    tall = weight.shape[0] > weight.shape[1]
    wide = at_least_float32(weight.mT if tall else weight)
    factor = torch.ops.taut.gram_schmidt(wide)[0]
    return (factor.mT if tall else factor).to(weight.dtype)


@torch.library.custom_op("taut::gram_schmidt", mutates_args=())
def _gram_schmidt(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Q with orthonormal rows and lower triangular L with weight = L Q, for a wide matrix."""
    with full_precision(weight.device):
        scale = power_of_two_above(weight)
        if not math.isfinite(scale):
            return torch.full_like(weight, math.nan).contiguous(), weight.new_full((weight.shape[0],) * 2, math.nan)
        scaled = weight / scale
        q, lower = _cholesky_rounds(scaled) or _cholesky_rounds(scaled.double()) or _householder(scaled)
        return q.to(weight.dtype).contiguous(), (lower * scale).to(weight.dtype).contiguous()


@_gram_schmidt.register_fake
def _(weight: Tensor) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        weight.new_empty(weight.shape[0], weight.shape[0]),
    )


def _cholesky_rounds(weight: Tensor) -> tuple[Tensor, Tensor] | None:
    """Rounds of W <- L^-1 W until rounding alone is left, or None when the matrix is too ill-conditioned for them."""
    q, lower = weight, None
    gram = gram_matrix(weight.mT)
    for _ in range(3):
        factor, info = torch.linalg.cholesky_ex(gram)
        if int(info) != 0:
            return None
        q = torch.linalg.solve_triangular(factor.mT, q.mT, upper=True, left=False).mT  # from the right: half the time
        lower = factor if lower is None else lower @ factor
        gram = gram_matrix(q.mT)
        error = gram - torch.eye(len(gram), dtype=q.dtype, device=q.device)
        distance = float(error.abs().sum(1).amax())
        if distance < _REFINED[weight.dtype]:
            # the factor of I + E is I + tril(E) with half the diagonal, up to E^2, which is below rounding here
            error.tril_().diagonal().mul_(0.5)
            return torch.addmm(q, error, q, alpha=-1.0), lower
        if not distance < 0.5:
            return None
    return None


def _householder(weight: Tensor) -> tuple[Tensor, Tensor]:
    q, r = torch.linalg.qr(weight.double().mT)
    sign = torch.where(r.diagonal() < 0, -1.0, 1.0)
    return (q * sign).mT, (r * sign.unsqueeze(-1)).mT


@torch.library.custom_op("taut::gram_schmidt_backward", mutates_args=())
def _gram_schmidt_derivative(grad: Tensor, q: Tensor, lower: Tensor) -> Tensor:
    """L^-T (G - tril-symmetrised(G Q^T) Q): the derivative of the orthonormal factor of W = L Q."""
    with full_precision(grad.device):
        inner = grad @ q.mT
        upper = inner.tril(-1).mT.contiguous()
        symmetric = inner.tril_().add_(upper)
        diagonal = lower.diagonal()
        floor = (1e-4 if lower.dtype == torch.float32 else 1e-8) * diagonal.amax()
        # rows that depend on earlier ones have an infinite derivative: damp it
        damped = lower.clone()
        damped.diagonal().add_((floor.where(floor > 0, torch.ones_like(floor)) - diagonal).clamp_min(0))
        rest = torch.addmm(grad, symmetric, q, alpha=-1.0)
        return torch.linalg.solve_triangular(damped, rest.mT, upper=False, left=False).mT.contiguous()


@_gram_schmidt_derivative.register_fake
def _(grad: Tensor, q: Tensor, lower: Tensor) -> Tensor:
    return torch.empty_like(q)


def _gram_schmidt_backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
    q, lower = ctx.saved_tensors  # type: ignore[attr-defined]
    return torch.ops.taut.gram_schmidt_backward(grads[0], q, lower)


def _save_output(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
    del inputs
    ctx.save_for_backward(*output)


_gram_schmidt.register_autograd(_gram_schmidt_backward, setup_context=_save_output)


def _capped(weight: Tensor, cap: float) -> Tensor:
    """`weight`, scaled down where its largest row sum or column sum exceeds `cap`."""
    magnitude = weight.abs()
    # relative to the largest, so that huge entries do not overflow the sums
    largest = magnitude.amax().clamp_min(torch.finfo(weight.dtype).tiny)
    relative = magnitude / largest
    sums = torch.maximum(relative.sum(0).amax(), relative.sum(1).amax())
    return torch.where(largest * sums > cap, weight / largest * (cap / sums), weight)
