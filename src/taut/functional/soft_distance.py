r"""A smooth l-infinity distance that is made of matrix products: exponentials turn differences into products.

exp(p (x_i - w_ji)) = exp(p x_i) exp(-p w_ji), so that a sum over i of the left side for all samples and rows is one
product of two matrices, where a norm of the differences has to visit each of them.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._precision import full_precision
from taut.functional.linf_distance import (
    DistanceKernel,
    as_outputs,
    as_rows,
    blocks,
    checked_exponent,
    differences,
    read_exponent,
)

_ROOM = {torch.float32: 60.0, torch.float64: 600.0}
"""What an exponent may be: exp of it is far from overflow, and entries that matter beside the largest do not vanish."""


def soft_linf_distance(
    x: Float[Tensor, "*batch in"],
    weight: Float[Tensor, "out in"],
    *,
    p: float | Float[Tensor, ""],
    kernel: DistanceKernel = "blocks",
) -> Float[Tensor, "*batch out"]:
    r"""log(sum_i exp(p d_i) + exp(-p d_i)) / p, d = x - w_j: every output is 1-Lipschitz in x and w_j (linf), any p.

    It is the logarithm of the l_p norm of the numbers exp(d_i) and exp(-d_i), and lies between max_i |d_i| and
    max_i |d_i| + log(2 n) / p, n the size of a row; p = infinity is `linf_distance`. Where p times the spread of the
    rows of x (or of the weight, if less) is below 600 it costs two products of matrices, in float64 if it exceeds 60;
    above, it visits each difference. Unlike the l_p norm it knows a scale: p is in units of 1 / x.

    Half precision is computed in float32; autocast is ignored. It can be differentiated once.

    Args: p, kernel as in `lp_distance`; the kernel is used at p = infinity alone.
    Errors: as `lp_distance`.

    >>> import torch
    >>> soft_linf_distance(torch.tensor([1.0, 5.0]), torch.tensor([[4.0, 1.0]]), p=2.0)  # log(e^8 + e^6 + ...) / 2
    tensor([4.0635])
    """
    if not isinstance(p, Tensor):
        p = torch.tensor(checked_exponent(p), dtype=torch.float64)
    rows, wide = as_rows(x, weight)
    return as_outputs(torch.ops.taut.soft_linf_distance(rows, wide, p, kernel), x, weight)


# --- the operator and its derivative ---------------------------------------------------------------------------------


@torch.library.custom_op("taut::soft_linf_distance", mutates_args=())
def _soft(x: Tensor, weight: Tensor, exponent: Tensor, kernel: str) -> Tensor:
    p = read_exponent(exponent)
    if p == math.inf:
        return torch.ops.taut.lp_distance(x, weight, exponent, kernel)
    if not x.numel() or not weight.numel():
        return x.new_zeros(len(x), len(weight))
    with full_precision(x.device):
        wide = _precision(x, weight, p)
        return _forward_blocks(x, weight, p) if wide is None else _Products(x, weight, p, wide).value().to(x.dtype)


@_soft.register_fake
def _(x: Tensor, weight: Tensor, exponent: Tensor, kernel: str) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("taut::soft_linf_distance_backward", mutates_args=())
def _soft_derivative(
    grad: Tensor, x: Tensor, weight: Tensor, value: Tensor, exponent: Tensor, kernel: str
) -> tuple[Tensor, Tensor]:
    p = read_exponent(exponent)
    if p == math.inf:
        return torch.ops.taut.lp_distance_backward(grad, x, weight, value, exponent, kernel)
    if not x.numel() or not weight.numel():
        return torch.zeros_like(x), torch.zeros_like(weight)
    with full_precision(x.device):
        wide = _precision(x, weight, p)
        if wide is None:
            return _backward_blocks(grad, x, weight, value, p)
        of_x, of_weight = _Products(x, weight, p, wide).pull(grad.to(wide), value.to(wide))
        return of_x.to(x.dtype), of_weight.to(x.dtype)


@_soft_derivative.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, value: Tensor, exponent: Tensor, kernel: str) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    x, weight, value, exponent = ctx.saved_tensors  # type: ignore[attr-defined]
    pulls = torch.ops.taut.soft_linf_distance_backward(grad, x, weight, value, exponent, ctx.kernel)  # type: ignore[attr-defined]
    return (*pulls, None, None)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor, str], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2], output, inputs[2])
    ctx.kernel = inputs[3]  # type: ignore[attr-defined]


_soft.register_autograd(_backward, setup_context=_save)


# --- products --------------------------------------------------------------------------------------------------------


def _precision(x: Tensor, weight: Tensor, p: float) -> torch.dtype | None:
    """The first in which the sums do not vanish; None where both do, and for NaN and infinity.

    Factored out are the largest x_i and the smallest w_ji, of which the difference exceeds the largest x_i - w_ji by
    the spread of x or of w_j at most.
    """
    needed = p * min(_spread(x), _spread(weight))
    return next((dtype for dtype, room in _ROOM.items() if dtype.itemsize >= x.dtype.itemsize and needed < room), None)


def _spread(rows: Tensor) -> float:
    low, high = rows.aminmax(dim=1)
    spread = float((high - low).amax())
    return math.inf if math.isnan(spread) else spread


class _Products:
    """exp(p (x - w)) and exp(p (w - x)) as outer products, the largest factor of each row being 1."""

    def __init__(self, x: Tensor, weight: Tensor, p: float, dtype: torch.dtype) -> None:
        x, weight = x.to(dtype), weight.to(dtype)
        (low, high), (least, most) = x.aminmax(dim=1, keepdim=True), weight.aminmax(dim=1)
        self.p = p
        self.x_up, self.x_down = _exp(x - high, p), _exp(low - x, p)
        self.w_up, self.w_down = _exp(weight - most[:, None], p), _exp(least[:, None] - weight, p)
        self.above, self.below = high - least, most - low

    def value(self) -> Tensor:
        above = (self.x_up @ self.w_down.T).log_().add_(self.above * self.p)
        below = (self.x_down @ self.w_up.T).log_().add_(self.below * self.p)
        return torch.logaddexp(above, below).div_(self.p)

    def pull(self, grad: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each term in the sum, times the gradient: its factors again, over the sum."""
        above = _exp(self.above - value, self.p).mul_(grad)
        below = _exp(self.below - value, self.p).mul_(grad)
        of_x = (above @ self.w_down).mul_(self.x_up).sub_((below @ self.w_up).mul_(self.x_down))
        of_weight = (below.T @ self.x_down).mul_(self.w_up).sub_((above.T @ self.x_up).mul_(self.w_down))
        return of_x, of_weight


def _exp(difference: Tensor, p: float) -> Tensor:
    return difference.mul_(p).exp_()


# --- blocks, where the products would vanish --------------------------------------------------------------------------


def _forward_blocks(x: Tensor, weight: Tensor, p: float) -> Tensor:
    result = x.new_empty(len(x), len(weight))
    for rows, outputs in blocks(x, weight):
        size = differences(x, weight, None, rows, outputs).abs_()
        result[rows, outputs] = torch.logsumexp(torch.cat([size, -size], -1).mul_(p), -1).div_(p)
    return result


def _backward_blocks(grad: Tensor, x: Tensor, weight: Tensor, value: Tensor, p: float) -> tuple[Tensor, Tensor]:
    of_x, of_weight = torch.zeros_like(x), torch.zeros_like(weight)
    for rows, outputs in blocks(x, weight):
        difference = differences(x, weight, None, rows, outputs)
        largest, part = value[rows, outputs, None], grad[rows, outputs, None]
        pull = _exp(difference - largest, p).sub_(_exp(-difference - largest, p)).mul_(part)
        of_x[rows] += pull.sum(1)
        of_weight[outputs] -= pull.sum(0)
    return of_x, of_weight
