r"""Solutions of x + h(x) = y for a contraction h, with errors that are known before and after the iteration.

x_0 = y, x_(k+1) = y - h(x_k). With |h(a) - h(b)| <= c |a - b|, c < 1 (l2), Banach's theorem gives, for every sample,

    |x_k - x| <= c^k / (1 - c) |x_1 - x_0|        before the iteration: how many steps an error takes,
    |x_k - x| <= |x_(k+1) - x_k| / (1 - c)        after a step: what has been reached, never above the first one.

Both are of exact arithmetic. An evaluation of h that is off by r makes the error larger by r / (1 - c) at most.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

MOST_STEPS = 10**6
"""More than any iteration may take."""

_INFLATION = 1.0 + 2.0**-46
_SMALLEST = 1e-290


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedPoint:
    """The solution for a batch, and what is known of it."""

    x: Float[Tensor, "batch *shape"]
    steps: int
    """Steps that were made."""
    proven_steps: int
    """Steps that are enough by c^k / (1 - c) |x_1 - x_0|, the largest over the batch."""
    error_bound: float
    """Of the distance (l2) between `x` and the solution, for each sample: |x_(k+1) - x_k| / (1 - c). Computed in the
    precision of `y`: rounding adds some eps |y| / (1 - c)."""
    residuals: tuple[float, ...]
    """|x_(k+1) - x_k| for k = 0, 1, ..., the largest over the batch; only the last one where norms were not watched."""


def inverse_error_bound(contraction: float, *, first_step: float, steps: int) -> float:
    r"""c^k / (1 - c) |x_1 - x_0|: bound of |x_k - x| (l2) before the iteration, in exact arithmetic, rounded up.

    Args: `contraction` c; `first_step` |x_1 - x_0|; `steps` k.
    Errors: ValueError unless 0 < c < 1, first_step >= 0, k >= 0. Source: Banach (1922).

    >>> round(inverse_error_bound(0.5, first_step=1.0, steps=3), 6)
    0.25
    """
    _check(contraction, first_step)
    if steps < 0:
        raise ValueError(f"steps must not be negative, got {steps}")
    power = max(contraction**steps, _SMALLEST)  # what underflows is not 0
    return first_step * power / (1.0 - contraction) * _INFLATION


def inverse_steps(contraction: float, *, first_step: float, tolerance: float) -> int:
    r"""The smallest k with c^k / (1 - c) |x_1 - x_0| <= tolerance: so many steps are proven to be enough.

    In exact arithmetic; rounding that is off by r in one evaluation of h adds r / (1 - c) to the error. For a branch
    with a proven constant b take c = L b, rounded up, and not L: b is a little above 1 in floating point.

    Args: `contraction` c; `first_step` |x_1 - x_0|, the largest of a batch; `tolerance`, of |x_k - x| (l2).
    Errors: ValueError unless 0 < c < 1, first_step >= 0, tolerance > 0, and for more than 10^6 steps.
    Source: Banach (1922).

    >>> inverse_steps(0.5, first_step=1.0, tolerance=0.25)
    4
    >>> inverse_steps(0.9, first_step=1.0, tolerance=1e-6)
    153
    """
    _check(contraction, first_step)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance!r}")
    if inverse_error_bound(contraction, first_step=first_step, steps=0) <= tolerance:
        return 0
    ratio = math.log(first_step) - math.log(tolerance) - math.log1p(-contraction)
    steps = max(1, math.ceil(ratio / -math.log(contraction)) - 1)
    while steps <= MOST_STEPS:
        if inverse_error_bound(contraction, first_step=first_step, steps=steps) <= tolerance:
            return steps
        steps += 1
    raise ValueError(
        f"an error of {tolerance:g} takes more than {MOST_STEPS:.0e} steps at the contraction {contraction!r}"
    )


@torch.no_grad()
def solve_contraction(
    h: Callable[[Tensor], Tensor],
    y: Float[Tensor, "batch *shape"],
    *,
    contraction: float,
    tolerance: float,
    max_steps: int = 1000,
    early: bool = True,
) -> FixedPoint:
    r"""The x with x + h(x) = y within `tolerance` for each sample (l2), in the number of steps that is proven before.

    h is c-Lipschitz (l2) on each sample. With `early` it ends as soon as |x_(k+1) - x_k| / (1 - c) is small enough;
    without, norms are looked at twice only, so that an accelerator need not wait. Where rounding keeps the proven
    steps from being enough, as many more are made as would halve the error. No gradient is kept: see `attach_gradient`.

    Errors: ValueError as for `inverse_steps`; RuntimeError, with the bound that was reached, when `max_steps` are not
    enough, rounding stands in the way (pass float64), or h is not c-Lipschitz.

    >>> solve_contraction(lambda x: 0.5 * x, torch.tensor([[3.0]]), contraction=0.5, tolerance=1e-6).x
    tensor([[2.0000]])
    """
    x, image = y.clone(), h(y)
    first = _largest(image)
    proven = inverse_steps(contraction, first_step=first, tolerance=tolerance)
    allowed = min(proven + math.ceil(math.log(0.5) / math.log(contraction)), max_steps)
    residuals, steps = [first], 0
    while steps < allowed and not ((early or steps >= proven) and residuals[-1] <= tolerance * (1.0 - contraction)):
        x = y - image
        image = h(x)
        steps += 1
        if early or steps >= min(proven, allowed):
            residuals.append(_largest(x + image - y))
    bound = residuals[-1] / (1.0 - contraction)
    if not bound <= tolerance:
        raise RuntimeError(
            f"after {steps} steps the inverse is known to {bound:.1e} only, not to the tolerance {tolerance:g}"
        )
    return FixedPoint(x=x, steps=steps, proven_steps=proven, error_bound=bound, residuals=tuple(residuals))


def attach_gradient(
    h: Callable[[Tensor], Tensor],
    y: Float[Tensor, "batch *shape"],
    solution: Float[Tensor, "batch *shape"],
    *,
    contraction: float,
    tolerance: float,
) -> Float[Tensor, "batch *shape"]:
    r"""`solution` as a function of y and the parameters of h: with the gradient of x + h(x) = y, exactly (implicit).

    A gradient v is taken back as w = (I + J^T)^-1 v, J the Jacobian of h at the solution, by w <- v - J^T w: also a
    contraction by c, with the proven number of steps for an error of `tolerance` |v|. Nothing of the iteration that
    found the solution is kept. No second derivatives.

    The value is y - h(solution), one step further than `solution`. Source: Bai, Kolter and Koltun (2019).

    >>> y = torch.tensor([[3.0]], requires_grad=True)
    >>> attach_gradient(lambda x: 0.5 * x, y, torch.tensor([[2.0]]), contraction=0.5, tolerance=1e-6).sum().backward()
    >>> y.grad
    tensor([[0.6667]])
    """
    steps = inverse_steps(contraction, first_step=contraction, tolerance=tolerance)
    with torch.enable_grad():
        result = y - h(solution.detach())
        if not result.requires_grad:
            return result
        point = solution.detach().clone().requires_grad_()
        image = h(point)

    def solved(v: Tensor | None) -> Tensor | None:
        if v is None:  # nothing that is asked for depends on the solution
            return None
        w, enough = v, tolerance * (1.0 - contraction)
        for _ in range(steps):
            (pulled,) = torch.autograd.grad(image, point, w, retain_graph=True)
            previous, w = w, v - pulled
            if bool((_norms(w - previous) <= enough * _norms(v)).all()):
                break
        return w

    if image.requires_grad and image.grad_fn is not None:
        result.register_hook(solved)
    return result


def _norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _largest(x: Tensor) -> float:
    return float(_norms(x).amax()) if x.numel() else 0.0


def _check(contraction: float, first_step: float) -> None:
    if not 0 < contraction < 1:
        raise ValueError(f"contraction must be between 0 and 1, got {contraction!r}")
    if not 0 <= first_step < math.inf:
        raise ValueError(f"first_step must be finite and not negative, got {first_step!r}")
