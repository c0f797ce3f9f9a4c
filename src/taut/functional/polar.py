r"""The orthogonal polar factor of a matrix, with an exact closed-form derivative.

For a tall W = U diag(h) V^T the factor is Q = U V^T: the nearest matrix with orthonormal columns, in every unitarily
invariant norm. Its derivative is self-adjoint, so the backward pass is the same linear map as the forward derivative.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._batching import register_batching
from taut.functional._gram import gram_matrix, less_transpose
from taut.functional._precision import at_least_float32, full_precision, power_of_two_above
from taut.functional.newton_schulz import newton_schulz_polar, polar_derivative

PolarMethod = Literal["auto", "eigh", "newton_schulz"]

# Down to this ratio of the extreme eigenvalues of the Gram matrix, its rounding error eps * condition^2 moves the
# factor by little more than the eps * condition that the weight's own rounding does; beyond it the work is done in
# float64, by an SVD.
_GRAM_RATIO = {torch.float32: 1e-3, torch.float64: 1e-6}
# Singular values under this share of the largest one count as this share in the derivative, which would be infinite.
_DERIVATIVE_FLOOR = {torch.float32: 1e-4, torch.float64: 1e-8}
_POLISHED = {torch.float32: 1e-4, torch.float64: 1e-9}


def polar_factor(
    weight: Float[Tensor, "*batch out in"], *, method: PolarMethod = "auto"
) -> Float[Tensor, "*batch out in"]:
    r"""Polar factor of `weight`: all singular values are 1 (l2), to 1e-6 in float32 and 1e-14 in float64.

    Defined for every finite matrix: rank-deficient and zero matrices are completed to an orthonormal set. Rows are
    orthonormal when out <= in, columns otherwise. Half precision is computed in float32 and cast back (which rounds
    the singular values by up to 2e-3 in bfloat16); autocast is ignored. NaN or infinite entries give NaN everywhere.

    The derivative is exact for condition numbers below 1e4 (float32) or 1e8 (float64), damped above. It can be taken
    once.

    Args:
        weight: any matrix or batch of matrices.
        method: "eigh" (eigenvectors of the smaller Gram matrix; fastest on a CPU), "newton_schulz" (matrix products
            only; fastest on a GPU), or "auto": by device.

    Source: Björck and Bowie (1971); Higham (2008), chapter 8.

    >>> import torch
    >>> q = polar_factor(torch.tensor([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]]))
    >>> torch.allclose(q.T @ q, torch.eye(2), atol=1e-6)
    True
    """
    if method not in ("auto", "eigh", "newton_schulz"):
        raise ValueError(f"method must be 'auto', 'eigh' or 'newton_schulz', got {method!r}")
    if weight.numel() == 0:
        return weight.clone()
    wide = weight.shape[-2] < weight.shape[-1]
    tall = at_least_float32(weight.mT if wide else weight)
    if method == "newton_schulz" or (method == "auto" and weight.is_cuda):
        factor = torch.ops.taut.polar_newton_schulz(tall)
    else:
        factor = torch.ops.taut.polar_eigh(tall)[0]
    return (factor.mT if wide else factor).to(weight.dtype)


# --- eigenvectors of the Gram matrix ---------------------------------------------------------------------------------


@torch.library.custom_op("taut::polar_eigh", mutates_args=())
def _polar_eigh(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Polar factor of a tall matrix, and its singular triple (U, h, V) for the backward pass."""
    with full_precision(weight.device):
        scale = power_of_two_above(weight)
        if not math.isfinite(scale):
            return _not_a_number(weight)
        scaled = weight / scale
        u, h, v = _singular_triple(scaled)
        factor = _polish(u @ v.mT)
        # the triple is needed in the weight's own precision, and in new memory: an operator's outputs may not alias
        return (
            factor.to(weight.dtype).contiguous(),
            u.to(weight.dtype, copy=u.data_ptr() == factor.data_ptr()).contiguous(),
            (h * scale).to(weight.dtype),
            v.to(weight.dtype).contiguous(),
        )


@_polar_eigh.register_fake
def _(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n = weight.shape[-1]
    return (
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        weight.new_empty(*weight.shape[:-2], n),
        weight.new_empty(*weight.shape[:-2], n, n),
    )


def _polar_eigh_backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
    u, h, v = ctx.saved_tensors  # type: ignore[attr-defined]
    return torch.ops.taut.polar_eigh_backward(grads[0], u, h, v)


@torch.library.custom_op("taut::polar_eigh_backward", mutates_args=())
def _polar_eigh_derivative(grad: Tensor, u: Tensor, h: Tensor, v: Tensor) -> Tensor:
    """[U (C - M/h) + G V/h] V^T with M = U^T G V and C_ij = (M_ij - M_ji) / (h_i + h_j); see `docs/architecture.md`."""
    with full_precision(grad.device):
        largest = h.amax(-1, keepdim=True)
        floor = torch.where(largest > 0, _DERIVATIVE_FLOOR[h.dtype] * largest, torch.ones_like(largest))
        h = torch.maximum(h, floor)
        gv = grad @ v
        m = u.mT @ gv
        core = less_transpose(m).div_(h.unsqueeze(-1) + h.unsqueeze(-2))
        if u.shape[-2] == u.shape[-1]:  # U is square: the part of G outside the range of U is zero
            return (u @ core) @ v.mT
        inverse = h.reciprocal().unsqueeze(-2)
        return (u @ (core - m * inverse) + gv * inverse) @ v.mT


@_polar_eigh_derivative.register_fake
def _(grad: Tensor, u: Tensor, h: Tensor, v: Tensor) -> Tensor:
    return torch.empty_like(u)


def _save_triple(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
    del inputs
    ctx.save_for_backward(*output[1:])


_polar_eigh.register_autograd(_polar_eigh_backward, setup_context=_save_triple)
register_batching(_polar_eigh)
register_batching(_polar_eigh_derivative)


def _singular_triple(scaled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, h, V of a tall matrix with entries up to 1: by the Gram matrix while that is accurate, else by an SVD."""
    values, v = torch.linalg.eigh(gram_matrix(scaled))
    ratio = float((values[..., 0] / values[..., -1]).min())
    if ratio > _GRAM_RATIO[scaled.dtype]:
        h = values.sqrt()
        return (scaled @ v) / h.unsqueeze(-2), h, v
    if scaled.dtype == torch.float32 and ratio > -0.5:  # NaN (the zero matrix) compares false
        return _singular_triple(scaled.double())
    u, h, vh = torch.linalg.svd(scaled.double(), full_matrices=False)
    return u, h, vh.mT


def _polish(factor: Tensor) -> Tensor:
    """Newton-Schulz steps from a nearly orthogonal matrix; the last starts within sqrt(eps) of orthogonality."""
    for _ in range(4):
        error = gram_matrix(factor)
        error.diagonal(dim1=-2, dim2=-1).sub_(1.0)
        if factor.dim() == 2:
            factor = torch.addmm(factor, factor, error, alpha=-0.5)
        else:
            factor = factor - 0.5 * (factor @ error)
        if float(error.abs().amax()) < _POLISHED[factor.dtype]:
            break
    return factor


def _not_a_number(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n = weight.shape[-1]
    nan = torch.full_like(weight, math.nan).contiguous()
    return (
        nan,
        nan.clone(),
        nan.new_full((*weight.shape[:-2], n), math.nan),
        nan.new_full((*weight.shape[:-2], n, n), math.nan),
    )


# --- matrix products only --------------------------------------------------------------------------------------------


@torch.library.custom_op("taut::polar_newton_schulz", mutates_args=())
def _polar_newton_schulz(weight: Tensor) -> Tensor:
    """Polar factor of a tall matrix by composed minimax polynomials; ill-conditioned ones go through an SVD."""
    with full_precision(weight.device):
        # a power of two next to the largest magnitude, without asking the device what it is
        exponent = torch.frexp(weight.abs().amax()).exponent.clamp(-125, 127)
        factor = newton_schulz_polar(torch.ldexp(weight, -exponent).contiguous())
        if factor is None:
            scale = power_of_two_above(weight)
            if not math.isfinite(scale):
                return torch.full_like(weight, math.nan).contiguous()
            u, _, vh = torch.linalg.svd((weight / scale).double(), full_matrices=False)
            factor = _polish(u @ vh)
        return factor.to(weight.dtype).contiguous()


@_polar_newton_schulz.register_fake
def _(weight: Tensor) -> Tensor:
    return torch.empty_like(weight, memory_format=torch.contiguous_format)


@torch.library.custom_op("taut::polar_newton_schulz_backward", mutates_args=())
def _polar_newton_schulz_derivative(grad: Tensor, weight: Tensor, factor: Tensor) -> Tensor:
    with full_precision(grad.device):
        derivative = polar_derivative(weight, factor, grad)
        if derivative is None:  # ill-conditioned: go through the singular triple
            _, u, h, v = torch.ops.taut.polar_eigh(weight)
            derivative = torch.ops.taut.polar_eigh_backward(grad, u, h, v)
        return derivative.contiguous()


@_polar_newton_schulz_derivative.register_fake
def _(grad: Tensor, weight: Tensor, factor: Tensor) -> Tensor:
    return torch.empty_like(factor)


def _newton_schulz_backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
    weight, factor = ctx.saved_tensors  # type: ignore[attr-defined]
    return torch.ops.taut.polar_newton_schulz_backward(grad, weight, factor)


def _save_pair(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output)


_polar_newton_schulz.register_autograd(_newton_schulz_backward, setup_context=_save_pair)
register_batching(_polar_newton_schulz)
register_batching(_polar_newton_schulz_derivative)
