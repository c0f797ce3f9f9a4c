r"""Penalties of the gradient of a loss with respect to its input, at the samples; elsewhere nothing is bounded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from taut.losses._samples import choice, input_gradient_of, one_each, positive

Objective = Callable[[Tensor], Tensor]
"""From points (n, *shape) to one number for each, such as its loss: (n,)."""

GRADIENT_NORMS = ("l1", "l2", "linf")
"""Norms of a gradient; the points move in the dual norm: linf, l2, l1."""


def input_gradient(
    objective: Objective, inputs: Float[Tensor, "n *shape"], *, create_graph: bool = False
) -> Float[Tensor, "n *shape"]:
    r"""Gradient of each sample's number with respect to that sample.

    Exact where the number depends on its own sample alone. Behind batch norm in training mode it is the gradient of
    the sum over the batch, with the influence that a sample has on the others. `create_graph` makes it differentiable
    for the parameters.

    Errors: ValueError unless `objective` gives one number for each sample.

    >>> input_gradient(lambda x: x.square().sum(1), torch.tensor([[3.0, 4.0]]))
    tensor([[6., 8.]])
    """
    return _value_and_gradient(objective, inputs, create_graph=create_graph)[1]


def lipschitz_penalty(objective: Objective, inputs: Float[Tensor, "n *shape"]) -> Float[Tensor, ""]:
    r"""max over the samples of ||grad_x l(x)||_2: a lower end of the loss's l2 Lipschitz constant, to be penalised.

    By double back-propagation: its derivative for the parameters is exact, for layers of torch and of taut alike; the
    layers of l-infinity distances alone have none, and raise RuntimeError in the backward pass. It proves no constant:
    the gradient between the samples may be larger. `objective` gives each sample's loss, see `input_gradient`.

    Errors: ValueError unless `objective` gives one number for each sample.
    Source: Finlay, Oberman and Abbasi (2018), with weight 0.1.

    >>> lipschitz_penalty(lambda x: x.square().sum(1), torch.tensor([[3.0, 4.0], [0.0, 1.0]])).detach()
    tensor(10.)
    """
    gradient = input_gradient(objective, inputs, create_graph=True)
    return gradient.reshape(len(gradient), -1).norm(dim=1).max()


def steepest_direction(gradient: Float[Tensor, "n *shape"], *, norm: str = "l2") -> Float[Tensor, "n *shape"]:
    r"""v with <g, v> = ||g|| in `norm` and ||v|| = 1 in its dual: where a step of length 1 raises the loss most.

    | `norm` of the gradient | v | length 1 in |
    |---|---|---|
    | "l1" | sign(g) | linf |
    | "l2" | g / ||g||_2 | l2 |
    | "linf" | the sign of the largest abs(g), at that entry | l1 |

    0 where the gradient is 0. Of several largest entries one is taken. Errors: ValueError for another norm.

    >>> steepest_direction(torch.tensor([[3.0, -4.0]]), norm="linf")
    tensor([[ 0., -1.]])
    """
    choice("norm", norm, GRADIENT_NORMS)
    if norm == "l1":
        return gradient.sign()
    flat = gradient.reshape(len(gradient), -1)
    if norm == "l2":
        # by the largest entry first: the squares of gradients near 0 would underflow
        scaled = flat / flat.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
        direction = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    else:
        largest = flat.abs().argmax(dim=1, keepdim=True)
        direction = torch.zeros_like(flat).scatter(1, largest, flat.gather(1, largest).sign())
    return direction.view_as(gradient)


def finite_difference_penalty(
    objective: Objective,
    inputs: Float[Tensor, "n *shape"],
    *,
    norm: str = "l2",
    h: float = 0.01,
    difference: str = "forward",
) -> Float[Tensor, ""]:
    r"""1/2 mean(((l(x + h v) - l(x)) / h)^2), about 1/2 mean(||grad_x l||^2) in `norm`, without a second derivative.

    v is the steepest direction for the norm, held fixed. "central" is (l(x + h v) - l(x - h v)) / (2 h), exact for
    quadratic losses, at the cost of one more pass. Dropout draws the same for all points of a sample. The difference
    loses digits: compute in float32 or better, not under autocast. It proves no constant.

    `objective` gives each sample's loss, see `input_gradient`. In the code of its authors the l1 direction is divided
    by the root of the number of entries; here it is sign(g).

    Errors: ValueError for another norm or difference, h not positive, or not one number for each sample.
    Source: Finlay and Oberman (2019), with weight 0.1 in l2.

    >>> penalty = finite_difference_penalty(lambda x: 3 * x.sum(1), torch.zeros(5, 2), norm="l1")
    >>> round(penalty.item(), 4)  # (|3| + |3|)^2 / 2
    18.0
    """
    choice("difference", difference, ("forward", "central"))
    positive("h", h)
    with _same_draws(inputs):
        value, gradient = _value_and_gradient(objective, inputs, create_graph=False, keep=difference == "forward")
    step = h * steepest_direction(gradient, norm=norm)
    points = inputs.detach()
    with torch.enable_grad():
        if difference == "forward":
            slope = (one_each(objective(points + step), inputs) - value) / h
        else:
            with _same_draws(inputs):
                behind = one_each(objective(points - step), inputs)
            slope = (one_each(objective(points + step), inputs) - behind) / (2 * h)
        return slope.square().mean() / 2


def _value_and_gradient(
    objective: Objective, inputs: Tensor, *, create_graph: bool, keep: bool = False
) -> tuple[Tensor, Tensor]:
    """Each sample's number, and its gradient; `keep` the number's own graph."""
    with torch.enable_grad():
        points = inputs.detach().requires_grad_()
        value = one_each(objective(points), inputs)
        gradient = input_gradient_of(value, points, create_graph=create_graph, keep=keep)
    return value, gradient


@contextmanager
def _same_draws(inputs: Tensor) -> Iterator[None]:
    """What is drawn inside is drawn again after it."""
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        yield
