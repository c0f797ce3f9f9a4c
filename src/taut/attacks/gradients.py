"""What attacks climb, and in which direction."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

Objective = Callable[[Tensor, Tensor], Tensor]
"""From logits and labels to a number per sample that grows as the sample is better attacked."""


def margins(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Logit of the label minus the largest other logit: positive where the prediction is right and not tied.

    Example:
        >>> margins(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([1]))
        tensor([1.])
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    return logits.gather(1, labels[:, None]).squeeze(1) - logits.masked_fill(own, -math.inf).amax(dim=1)


def minus_margin(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Minus `margins`: positive where the sample is misclassified."""
    return -margins(logits, labels)


def cross_entropy(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Cross-entropy per sample. Its gradient vanishes in floats where the margin is large."""
    return F.cross_entropy(logits, labels, reduction="none")


def targeted_dlr(
    logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"], targets: Int64[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    r"""(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2), the targeted difference of logits ratio (Croce and Hein 2020).

    It does not change when logits are shifted or multiplied. z_(i) is the i-th largest logit; with fewer than four
    classes there is no z_(4), and the numerator alone is returned: the margin to the target.

    Example:
        >>> logits = torch.tensor([[4.0, 3.0, 1.0, 0.0]])
        >>> float(targeted_dlr(logits, torch.tensor([0]), torch.tensor([1])))  # (3 - 4) / (4 - 0.5)
        -0.2857...
        >>> float(targeted_dlr(logits[:, :3], torch.tensor([0]), torch.tensor([1])))
        -1.0
    """
    gap = logits.gather(1, targets[:, None]).squeeze(1) - logits.gather(1, labels[:, None]).squeeze(1)
    if logits.shape[1] < 4:
        return gap
    largest = logits.topk(4, dim=1).values
    spread = largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2
    return gap / spread.clamp_min(torch.finfo(logits.dtype).tiny)


def climb(
    model: nn.Module, point: Float[Tensor, "batch *shape"], labels: Int64[Tensor, " batch"], objective: Objective
) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Gradient of the objective with respect to each point, the objective there, and the margin there."""
    with torch.enable_grad():
        point = point.detach().requires_grad_(True)
        logits = model(point)
        value = objective(logits, labels)
        gradient = gradient_at(point, value)
    return gradient, value.detach(), margins(logits.detach(), labels)


def gradient_at(point: Float[Tensor, "batch *shape"], value: Float[Tensor, " batch"]) -> Float[Tensor, "batch *shape"]:
    """Gradient of each sample's value with respect to its point.

    An attack that follows nothing, or NaN, finds nothing, and the network would look robust: ValueError says so.
    """
    found = torch.autograd.grad(value.sum(), point, allow_unused=True)[0] if value.requires_grad else None
    if found is None:
        raise ValueError(
            "the model has no gradient with respect to its input, so that an attack by gradients would show nothing "
            "(square, boundary and hopskipjump need none)"
        )
    if not bool(torch.isfinite(found).all()):
        raise ValueError("the model's gradient is NaN or infinite at some points, so that an attack would show nothing")
    return found


def steepest(gradient: Float[Tensor, "batch *shape"], norm: str) -> Float[Tensor, "batch *shape"]:
    """Direction of unit norm, "l2" or "linf", along which a function with this gradient grows fastest; 0 where the
    gradient is 0.

    Example:
        >>> steepest(torch.tensor([[3.0, -4.0]]), "l2"), steepest(torch.tensor([[3.0, -4.0]]), "linf")
        (tensor([[ 0.6000, -0.8000]]), tensor([[ 1., -1.]]))
    """
    if norm == "linf":
        return gradient.sign()
    # Divided by the largest entry first: squares of the tiny gradients of large margins would underflow to 0.
    largest = like(gradient.flatten(1).abs().amax(dim=1), gradient)
    scaled = gradient / torch.where(largest > 0, largest, 1.0)
    return scaled / like(scaled.flatten(1).norm(dim=1), scaled).clamp_min(1.0)


def like(per_sample: Tensor, tensor: Tensor) -> Tensor:
    """A number per sample, shaped so that it multiplies the samples of `tensor`."""
    return per_sample.view(-1, *[1] * (tensor.ndim - 1))
