"""The fast gradient step: one step of the whole radius."""

from typing import Literal

from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.ball import project, within_box
from taut.attacks.checks import check_options
from taut.attacks.gradients import climb, steepest
from taut.attacks.pgd import OBJECTIVES


def fgsm(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    eps: float,
    norm: str = "linf",
    loss: Literal["margin", "cross-entropy"] = "cross-entropy",
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "batch *shape"]:
    r"""x + eps v, v the steepest direction of the loss of unit l2 or linf norm (Goodfellow et al. 2015).

    In the ball and the box as stored. What survives it is not robust: it is one gradient's work.

    Raises ValueError as `pgd`.

    Example:
        >>> import torch
        >>> model = nn.Linear(2, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2))
        >>> fgsm(model, torch.tensor([[0.6, 0.5]]), torch.tensor([0]), eps=0.25)
        tensor([[0.3500, 0.7500]])
    """
    check_options(inputs, eps=eps, norm=norm, bounds=bounds)
    if loss not in OBJECTIVES:
        raise ValueError(f"loss must be one of {', '.join(OBJECTIVES)}, got {loss!r}")
    eps = within_box(eps, inputs, norm, bounds)
    gradient, _, _ = climb(model, inputs, labels, OBJECTIVES[loss])
    # A step of the whole radius ends on the border; a little more, and the projection decides where that is.
    return project(inputs + 1.01 * eps * steepest(gradient, norm), inputs, eps=eps, norm=norm, bounds=bounds)
