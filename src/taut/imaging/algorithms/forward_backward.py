r"""Plug-and-play forward-backward splitting: a gradient step on the data fit, then the denoiser."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.imaging.algorithms.course import Restoration, State, Step, iterate, l2
from taut.imaging.algorithms.problem import problem
from taut.imaging.condition import enforce
from taut.imaging.conditions import default_step, forward_backward_condition
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator


@torch.no_grad()
def forward_backward(
    operator: LinearOperator,
    y: Float[Tensor, "*batch c2 h2 w2"],
    denoiser: ProvenDenoiser,
    *,
    step: float | None = None,
    order: str = "gradient-first",
    sigma: float | None = None,
    iterations: int = 100,
    tolerance: float = 1e-5,
    start: Float[Tensor, "*batch c h w"] | None = None,
    truth: Float[Tensor, "*batch c h w"] | None = None,
    on_step: Callable[[Step], None] | None = None,
    check: str = "refuse",
) -> Restoration:
    r"""x+ = D(x - step A^T (A x - y)): for D averaged and step < 2 / ||A||^2 the l2 residual |x+ - x| never grows.

    It converges to a fixed point, if there is one; the fixed points are those of the other iterations with the same
    step. With order "denoiser-first" the picture is D(z), z+ = D(z) - step A^T (A D(z) - y).

    Args:
        operator: A.
        y: The measurement, of one picture or a batch, float32 or float64.
        denoiser: D, a `Denoiser` or what has its proven constants.
        step: Below 2 / ||A||^2, which is half of it unless given. A larger one trusts the measurement more.
        order: "gradient-first" or "denoiser-first".
        sigma: Noise level that D is called with, in units of the images; None for what it was made for.
        iterations: At most so many.
        tolerance: They end when the residual is below this share of the norm of the iterate.
        start: The first picture; A^T y / ||A||^2 unless given.
        truth: The true picture, for the signal-to-noise ratio of each step (needs torchmetrics).
        on_step: Called after each step.
        check: "refuse" or "warn" where no theorem proves convergence.

    Raises:
        ValueError: Convergence is not proven (the sentence names the theorem and the number), or an argument.

    Source: Hurault, Leclaire and Papadakis (2022); Hertrich, Neumayer and Steidl (2021).

    Example:
        >>> from taut.imaging import tv_denoiser
        >>> from taut.imaging.operators import Inpainting, random_pixels
        >>> hole = Inpainting((1, 8, 8), random_pixels(8, 8, share=0.5))
        >>> found = forward_backward(hole, torch.ones(1, 8, 8), tv_denoiser(weight=0.1), iterations=5)
        >>> found.condition.converges, found.image.shape
        (True, torch.Size([1, 8, 8]))
    """
    if order not in ("gradient-first", "denoiser-first"):
        raise ValueError(f"order must be 'gradient-first' or 'denoiser-first', got {order!r}")
    task = problem(operator, y, denoiser, sigma)
    length = default_step(operator) if step is None else step
    condition = enforce(forward_backward_condition(denoiser, operator, step=length), check)

    def advance(state: State) -> tuple[State, Tensor]:
        (x,) = state
        if order == "gradient-first":
            image = task.denoise(x - length * task.gradient(x))
            return (image,), image
        image = task.denoise(x)
        return (image - length * task.gradient(image),), image

    image, course = iterate(
        (task.start(start),),
        advance,
        norm=l2,
        data_fit=task.data_fit,
        iterations=iterations,
        tolerance=tolerance,
        truth=truth,
        on_step=on_step,
        precision=task.precision,
    )
    return Restoration(image=image, course=course, condition=condition)
