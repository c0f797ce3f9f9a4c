"""A few Björck steps towards the polar factor: bounded at once, orthogonal only in the limit."""

import torch
from jaxtyping import Float
from torch import Tensor

from taut.functional._precision import at_least_float32, full_precision
from taut.functional.bounded import gram_norm
from taut.functional.orthogonal import bjorck_step

_NORM_ITERATIONS = 4


def bjorck_steps(weight: Float[Tensor, "out in"], *, steps: int) -> Float[Tensor, "out in"]:
    r"""W / b with b >= ||W||_2, then `steps` times W <- 3/2 W - 1/2 W W^T W: singular values at most 1 (l2).

    To 1e-6 in float32 and 1e-14 in float64, for every number of steps: s -> 3/2 s - 1/2 s^3 maps [0, 1] into itself.
    Each step moves small singular values up by a factor of 3/2 and squares the distance of large ones from 1, so that
    the limit is `taut.functional.polar_factor`, without its exact gradient: this one goes through the steps. Zero
    singular values stay 0. Half precision is computed in float32 and cast back. Differentiable any number of times.

    Errors: ValueError for steps below 0.
    Source: Björck and Bowie (1971); Anil, Lucas and Grosse (2019), who train with few steps and finetune with many. The
    published code divides by no norm; unscaled, the steps diverge from sqrt(3) on.

    >>> import torch
    >>> bjorck_steps(torch.diag(torch.tensor([4.0, 2.0, 0.0])), steps=20).diag().round(decimals=4)
    tensor([1., 1., 0.])
    """
    if steps < 0:
        raise ValueError(f"steps must not be negative, got {steps}")
    with full_precision(weight.device):
        w = at_least_float32(weight)
        w = w / w.detach().abs().amax().clamp_min(torch.finfo(w.dtype).tiny)  # a positive factor changes nothing
        w = w / gram_norm(w, iterations=_NORM_ITERATIONS).clamp_min(torch.finfo(w.dtype).tiny)
        for _ in range(steps):
            w = bjorck_step(w)
    return w.to(weight.dtype)
