"""Orthonormal factor of a matrix by Householder's QR decomposition."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._precision import at_least_float32, full_precision, power_of_two_above


def qr_factor(weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    r"""Q of the QR decomposition with a positive diagonal of R: all singular values are 1 (l2).

    To 1e-6 in float32 and 1e-14 in float64, on the smaller side: columns for a tall matrix, rows (of the transposed
    decomposition) for a wide one. The same map as `cholesky_factor` by another road: reflections do not square the
    condition number, so that there is one path for every matrix, and they cost more. Where columns depend on each
    other Q is completed to an orthonormal set, and the derivative, which is infinite there, is damped.

    Exact derivative, once. Source: Householder (1958); derivative by Walter and Lehmann (2018).

    >>> import torch
    >>> qr_factor(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if weight.numel() == 0:
        return weight.clone()
    tall = weight.shape[0] > weight.shape[1]
    wide = at_least_float32(weight.mT if tall else weight)
    factor = torch.ops.taut.householder_qr(wide)[0]
    return (factor.mT if tall else factor).to(weight.dtype)


@torch.library.custom_op("taut::householder_qr", mutates_args=())
def _householder_qr(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Q with orthonormal rows and lower triangular L, of non-negative diagonal, with weight = L Q for a wide matrix."""
    with full_precision(weight.device):
        scale = power_of_two_above(weight)
        if not math.isfinite(scale):
            return torch.full_like(weight, math.nan).contiguous(), weight.new_full((weight.shape[0],) * 2, math.nan)
        q, r = torch.linalg.qr((weight / scale).double().mT)  # float32 reflections leave 1e-6 at a few hundred columns
        sign = torch.where(r.diagonal() < 0, -1.0, 1.0)
        lower = (r * sign.unsqueeze(-1)).mT * scale
        return (q * sign).mT.to(weight.dtype).contiguous(), lower.to(weight.dtype).contiguous()


@_householder_qr.register_fake
def _(weight: Tensor) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        weight.new_empty(weight.shape[0], weight.shape[0]),
    )


def _backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
    q, lower = ctx.saved_tensors  # type: ignore[attr-defined]
    return torch.ops.taut.gram_schmidt_backward(grads[0], q, lower)


def _save_output(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
    del inputs
    ctx.save_for_backward(*output)


_householder_qr.register_autograd(_backward, setup_context=_save_output)
