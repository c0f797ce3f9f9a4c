r"""Plug-and-play primal-dual splitting: no inverse of the operator, or a picture that is kept in a box."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from taut.imaging.algorithms.course import Restoration, State, Step, iterate, l2
from taut.imaging.algorithms.problem import problem
from taut.imaging.condition import enforce
from taut.imaging.conditions import default_step, primal_dual_condition
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator


@torch.no_grad()
def primal_dual(
    operator: LinearOperator,
    y: Float[Tensor, "*batch c2 h2 w2"],
    denoiser: ProvenDenoiser,
    *,
    step: float | None = None,
    dual_step: float | None = None,
    form: str = "dual",
    box: tuple[float, float] = (0.0, 1.0),
    sigma: float | None = None,
    iterations: int = 100,
    tolerance: float = 1e-5,
    start: Float[Tensor, "*batch c h w"] | None = None,
    truth: Float[Tensor, "*batch c h w"] | None = None,
    on_step: Callable[[Step], None] | None = None,
    check: str = "refuse",
) -> Restoration:
    r"""x+ = D(x - step (G + K^T u)), u+ = prox(u + dual_step K (2 x+ - x)): its primal-dual residual never grows.

    Form "dual": K = A, u is (near) A x - y, and there is no gradient G; nothing is inverted and no gradient step is
    needed (Chambolle and Pock). Form "box": G = A^T (A x - y), K = I, and u keeps the picture in `box` (Condat, Vu).
    D must be firmly nonexpansive. The residual is the root of |dx|^2 - 2 step <K dx, du> + (step / dual_step) |du|^2
    over the changes of x and u (without the product where steps are so large that this would be no norm). It converges
    to a fixed point, if there is one.

    Args:
        operator: A.
        y: The measurement, of one picture or a batch, float32 or float64.
        denoiser: D, a `Denoiser` or what has its proven constants.
        step: 1 / ||A||^2 unless given. A larger one trusts the measurement more.
        dual_step: Below 1 / (step ||A||^2) for "dual" and 1 / step - ||A||^2 / 2 for "box"; 0.99 of that unless given.
        form: "dual" or "box".
        box: The smallest and the largest value of a pixel, for the form "box".
        sigma: Noise level that D is called with, in units of the images; None for what it was made for.
        iterations: At most so many.
        tolerance: They end when the residual is below this share of the norm of the iterate.
        start: The first picture; A^T y / ||A||^2 unless given.
        truth: The true picture, for the signal-to-noise ratio of each step (needs torchmetrics).
        on_step: Called after each step.
        check: "refuse" or "warn" where no theorem proves convergence.

    Raises:
        ValueError: Convergence is not proven (the sentence names the theorem and the number), or an argument.

    Source: Chambolle and Pock (2011); Condat (2013); Vu (2013).

    Example:
        >>> from taut.imaging import tv_denoiser
        >>> from taut.imaging.operators import Inpainting, random_pixels
        >>> hole = Inpainting((1, 8, 8), random_pixels(8, 8, share=0.5))
        >>> found = primal_dual(hole, torch.ones(1, 8, 8), tv_denoiser(weight=0.1), iterations=5)
        >>> found.condition.converges, found.image.shape
        (True, torch.Size([1, 8, 8]))
    """
    if form not in ("dual", "box"):
        raise ValueError(f"form must be 'dual' or 'box', got {form!r}")
    if not box[0] < box[1]:
        raise ValueError(f"box must be a smaller and a larger number, got {box}")
    task = problem(operator, y, denoiser, sigma)
    length = default_step(operator) if step is None else step
    other = _default_dual(operator, length, form) if dual_step is None else dual_step
    condition = enforce(primal_dual_condition(denoiser, operator, step=length, dual_step=other, form=form), check)
    by_data = form == "dual"
    coupled = 1.0 if length * other * (operator.norm_bound**2 if by_data else 1.0) < 1.0 else 0.0

    def advance(state: State) -> tuple[State, Tensor]:
        x, u = state
        direction = operator.adjoint(u) if by_data else task.gradient(x) + u
        image = task.denoise(x - length * direction)
        ahead = 2.0 * image - x
        if by_data:
            return (image, (u + other * (operator(ahead) - y)) / (1.0 + other)), image
        shifted = u + other * ahead
        return (image, shifted - other * (shifted / other).clamp(*box)), image

    def norm(state: State) -> float:
        dx, du = (part.double() for part in state)
        crossed = float(((operator(dx) if by_data else dx) * du).sum())
        square = l2((dx,)) ** 2 - 2.0 * coupled * length * crossed + length / other * l2((du,)) ** 2
        return math.nan if math.isnan(square) else math.sqrt(max(0.0, square))

    first = task.start(start)
    image, course = iterate(
        (first, torch.zeros_like(y if by_data else first)),
        advance,
        norm=norm,
        data_fit=task.data_fit,
        iterations=iterations,
        tolerance=tolerance,
        truth=truth,
        on_step=on_step,
        precision=task.precision,
    )
    return Restoration(image=image, course=course, condition=condition)


def _default_dual(operator: LinearOperator, step: float, form: str) -> float:
    """0.99 of what the theorem allows; 0.99 / step where it allows nothing, for the condition to say so."""
    if not 0.0 < step < math.inf:
        return 1.0
    square = operator.norm_bound**2
    room = 1.0 / (step * square) if form == "dual" else 1.0 / step - square / 2.0
    return 0.99 * room if room > 0.0 else 0.99 / step
