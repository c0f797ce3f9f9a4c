"""Rows of l1 norm at most 1: the matrices of l-infinity operator norm at most 1."""

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._precision import at_least_float32


def project_rows_l1(weight: Float[Tensor, "out in"], *, radius: float = 1.0) -> Float[Tensor, "out in"]:
    r"""Euclidean projection of every row onto the l1 ball of `radius`; rows inside the ball are unchanged.

    The result has l-infinity operator norm at most `radius`. Newton's method on the threshold (Michelot), exact in a
    few passes; the gradient is that of the projection, exact almost everywhere.

    Source: Michelot (1986); Condat (2016).

    >>> import torch
    >>> project_rows_l1(torch.tensor([[2.0, 1.5], [0.2, 0.1]]))
    tensor([[0.7500, 0.2500],
            [0.2000, 0.1000]])
    """
    if not radius > 0:
        raise ValueError(f"radius must be > 0, got {radius}")
    if weight.numel() == 0:
        return weight.clone()
    return torch.ops.taut.project_rows_l1(at_least_float32(weight), radius).to(weight.dtype)


@torch.library.custom_op("taut::project_rows_l1", mutates_args=())
def _project(weight: Tensor, radius: float) -> Tensor:
    magnitude = weight.abs()
    slack = radius * (1.0 - 4 * torch.finfo(weight.dtype).eps)  # summation may round either way
    largest = magnitude.amax(1, keepdim=True)
    outside = magnitude.sum(1, keepdim=True) > slack
    # relative to the largest entry, where huge rows keep their digits; the threshold is at least largest - radius
    below = magnitude - largest
    threshold = torch.maximum(-largest, torch.full_like(largest, -slack))
    for _ in range(64):
        excess = (below - threshold).clamp_min_(0)
        active = (excess > 0).sum(1, keepdim=True).clamp_min_(1)
        raised = threshold + (excess.sum(1, keepdim=True) - slack) / active
        if bool((raised <= threshold).all()):
            break
        threshold = torch.maximum(raised, threshold)
    projected = weight.sign().mul_((below - threshold).clamp_min_(0))
    return torch.where(outside, projected, weight)


@_project.register_fake
def _(weight: Tensor, radius: float) -> Tensor:
    return torch.empty_like(weight)


def _project_backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
    (sign, outside) = ctx.saved_tensors  # type: ignore[attr-defined]
    mean = (grad * sign).sum(1, keepdim=True) / sign.abs().sum(1, keepdim=True).clamp_min(1)
    projected = (grad - mean * sign) * sign.abs()
    return torch.where(outside, projected, grad), None


def _save_active(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, float], output: Tensor) -> None:
    outside = (inputs[0] != output).any(1, keepdim=True)
    ctx.save_for_backward(output.sign(), outside)


_project.register_autograd(_project_backward, setup_context=_save_active)


def scale_rows_l1(weight: Float[Tensor, "out in"], *, radius: float = 1.0) -> Float[Tensor, "out in"]:
    r"""Rows divided by max(1, l1 norm / radius): l-infinity operator norm at most `radius`; rows inside are unchanged.

    >>> import torch
    >>> scale_rows_l1(torch.tensor([[3.0, -1.0], [0.2, 0.1]]))
    tensor([[ 0.7500, -0.2500],
            [ 0.2000,  0.1000]])
    """
    if not radius > 0:
        raise ValueError(f"radius must be > 0, got {radius}")
    w = at_least_float32(weight)
    largest = w.detach().abs().amax(1, keepdim=True).clamp_min(1.0)
    sums = (w / largest).abs().sum(1, keepdim=True) * (1.0 + 4 * torch.finfo(w.dtype).eps)
    return torch.where(
        sums * largest > radius, w / largest * (radius / sums.clamp_min(torch.finfo(w.dtype).tiny)), w
    ).to(weight.dtype)
