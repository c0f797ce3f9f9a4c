r"""Plug-and-play ADMM: alternating directions, with the denoiser in the place of one proximal operator."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.imaging.algorithms.course import Restoration, State, Step, iterate, l2
from taut.imaging.algorithms.problem import problem
from taut.imaging.condition import enforce
from taut.imaging.conditions import admm_condition, default_step
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator


@torch.no_grad()
def admm(
    operator: LinearOperator,
    y: Float[Tensor, "*batch c2 h2 w2"],
    denoiser: ProvenDenoiser,
    *,
    step: float | None = None,
    sigma: float | None = None,
    iterations: int = 100,
    tolerance: float = 1e-5,
    start: Float[Tensor, "*batch c h w"] | None = None,
    truth: Float[Tensor, "*batch c h w"] | None = None,
    on_step: Callable[[Step], None] | None = None,
    check: str = "refuse",
) -> Restoration:
    r"""x = prox(d - u), d+ = D(x + u), u+ = u + x - d+: for D firmly nonexpansive the l2 residual of x + u never grows.

    prox is that of step |A x - y|^2 / 2. In w = x + u it is Douglas-Rachford with the two maps in the other order,
    w+ = w + prox(2 D(w) - w) - D(w), and so it is computed. Any step > 0 is allowed. It converges to a fixed point, if
    there is one; the picture is D(w).

    Args:
        operator: A.
        y: The measurement, of one picture or a batch, float32 or float64.
        denoiser: D, a `Denoiser` or what has its proven constants.
        step: Positive, 1 / ||A||^2 unless given. A larger one trusts the measurement more.
        sigma: Noise level that D is called with, in units of the images; None for what it was made for.
        iterations: At most so many.
        tolerance: They end when the residual is below this share of the norm of the iterate.
        start: The first picture; A^T y / ||A||^2 unless given.
        truth: The true picture, for the signal-to-noise ratio of each step (needs torchmetrics).
        on_step: Called after each step.
        check: "refuse" or "warn" where no theorem proves convergence.

    Raises:
        ValueError: Convergence is not proven (the sentence names the theorem and the number), or an argument.

    Source: Venkatakrishnan, Bouman and Wohlberg (2013); Eckstein and Bertsekas (1992).

    Example:
        >>> from taut.imaging import tv_denoiser
        >>> from taut.imaging.operators import Inpainting, random_pixels
        >>> hole = Inpainting((1, 8, 8), random_pixels(8, 8, share=0.5))
        >>> found = admm(hole, torch.ones(1, 8, 8), tv_denoiser(weight=0.1), iterations=5)
        >>> found.condition.converges, found.image.shape
        (True, torch.Size([1, 8, 8]))
    """
    task = problem(operator, y, denoiser, sigma)
    length = default_step(operator) if step is None else step
    condition = enforce(admm_condition(denoiser, operator, step=length), check)

    def advance(state: State) -> tuple[State, Tensor]:
        (w,) = state
        image = task.denoise(w)
        return (w + task.proximal(2.0 * image - w, length) - image,), image

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
