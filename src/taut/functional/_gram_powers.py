"""The Frobenius norm of a high power of a Gram matrix, in logarithms, and its derivative in closed form."""

import torch
from torch import Tensor

from taut.functional._batching import register_batching
from taut.functional._gram import gram_matrix, symmetric_product
from taut.functional._precision import full_precision


@torch.library.custom_op("taut::gram_powers", mutates_args=())
def gram_powers(weight: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    r"""log ||A^m||_F / (2 m) with A = W^T W, m = 2^(t - 1) and t = `iterations`, for tall W; for the backward pass
    the powers A, A^2, ..., A^m divided by their norms, and the logarithms of what each was divided by.

    Shapes: (*batch, out, in) -> (*batch), (*batch, t, in, in), (*batch, t).
    """
    t = iterations
    with full_precision(weight.device):
        tiny = torch.finfo(weight.dtype).tiny
        n = weight.shape[-1]
        powers = weight.new_empty(*weight.shape[:-2], t, n, n)
        logs = weight.new_empty(*weight.shape[:-2], t, dtype=torch.float64)
        power = gram_matrix(weight)
        for k in range(t):
            norm = torch.linalg.matrix_norm(power, keepdim=True).clamp_min(tiny)
            powers[..., k, :, :] = power / norm
            logs[..., k] = norm[..., 0, 0].double().log()
            if k + 1 < t:
                power = gram_matrix(powers[..., k, :, :])  # of a symmetric matrix: its square
        shares = 0.5 ** torch.arange(1, t + 1, dtype=torch.float64, device=weight.device)
        return (logs * shares).sum(-1).to(weight.dtype), powers, logs


@gram_powers.register_fake
def _(weight: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, n, t = weight.shape[:-2], weight.shape[-1], iterations
    return (
        weight.new_empty(batch),
        weight.new_empty(*batch, t, n, n),
        weight.new_empty(*batch, t, dtype=torch.float64),
    )


@torch.library.custom_op("taut::gram_powers_backward", mutates_args=())
def _derivative(grad: Tensor, weight: Tensor, powers: Tensor, logs: Tensor) -> Tensor:
    """grad W A^(2m - 1) / ||A^m||_F^2: A^(2m - 1) is the product of the powers that were kept, the last taken twice."""
    with full_precision(weight.device):
        t = powers.shape[-3]
        product = powers[..., t - 1, :, :]
        # of A^(2^k) = c_k times what was kept: log c_(k+1) = 2 log c_k + log of what the square was divided by
        size, exponent = logs[..., 0], torch.zeros_like(logs[..., 0])
        for k in range(t - 1):
            exponent = exponent + size
            size = 2 * size + logs[..., k + 1]
            product = symmetric_product(product, powers[..., k, :, :])
            norm = torch.linalg.matrix_norm(product, keepdim=True)
            product = product / torch.where(norm > 0, norm, 1.0)
            exponent = exponent + torch.where(norm > 0, norm, 1.0)[..., 0, 0].double().log()
        factor = (exponent - size).exp().to(weight.dtype)
        factor = torch.where(torch.isfinite(factor), factor, 0.0)  # the zero matrix
        return (weight @ product) * (grad * factor)[..., None, None]


@_derivative.register_fake
def _(grad: Tensor, weight: Tensor, powers: Tensor, logs: Tensor) -> Tensor:
    return torch.empty_like(weight)


def _backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
    weight, powers, logs = ctx.saved_tensors  # type: ignore[attr-defined]
    if torch.is_grad_enabled():  # the derivative is to be differentiated again: by the formula, step by step
        value = _step_by_step(weight, powers.shape[-3])
        return torch.autograd.grad(value, weight, grads[0], create_graph=True)[0], None
    return torch.ops.taut.gram_powers_backward(grads[0], weight, powers, logs), None


def _step_by_step(weight: Tensor, iterations: int) -> Tensor:
    """The same number in operations that torch differentiates any number of times."""
    power, value = weight.mT @ weight, torch.zeros((), dtype=weight.dtype, device=weight.device)
    for k in range(iterations):
        norm = torch.linalg.matrix_norm(power, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        value = value + norm[..., 0, 0].log() * 0.5 ** (k + 1)
        if k + 1 < iterations:
            power = power / norm
            power = power @ power
    return value


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, int], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[0], *output[1:])


gram_powers.register_autograd(_backward, setup_context=_save)
register_batching(gram_powers)
register_batching(_derivative)
