r"""Adversarial training: one step of steepest ascent, and the loss of TRADES. Training on them proves nothing."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from taut.losses._samples import not_negative
from taut.losses.input_gradient import Objective, input_gradient, steepest_direction


def single_step(
    inputs: Float[Tensor, "n *shape"],
    objective: Objective,
    *,
    eps: float,
    norm: str = "l2",
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Float[Tensor, "n *shape"]:
    r"""x + eps v, v the steepest direction of each sample's loss, cut to the box: the point of an adversarial update.

    To first order l(x + eps v) = l(x) + eps ||grad l(x)|| in `norm`, the norm of the *gradient*: training on these
    points penalises that norm.

    | name | `norm` | point | moved by eps in |
    |---|---|---|---|
    | J1 | "l1" | x + eps sign(g) | linf |
    | J2 | "l2" | x + eps g / ||g||_2 | l2 |
    | Jinf | "linf" | x + eps on the entry of the largest abs(g), with its sign | l1 |

    The result is detached. `objective` gives each sample's loss. `bounds` None is no box.

    Errors: ValueError for another norm, eps negative, bounds in the wrong order, or not one number for each sample.
    Source: Goodfellow, Shlens and Szegedy (2015) for J1; Finlay, Oberman and Abbasi (2018) for J2 and Jinf.

    >>> import torch
    >>> single_step(torch.tensor([[0.5, 0.95]]), lambda x: x.sum(1), eps=0.1, norm="l1")
    tensor([[0.6000, 1.0000]])
    """
    not_negative("eps", eps)
    if bounds is not None and not bounds[0] <= bounds[1]:
        raise ValueError(f"bounds must be (smallest, largest), got {bounds}")
    moved = inputs.detach() + eps * steepest_direction(input_gradient(objective, inputs), norm=norm)
    return moved if bounds is None else moved.clamp(*bounds)


def prediction_divergence(
    logits: Float[Tensor, "n classes"], others: Float[Tensor, "n classes"]
) -> Float[Tensor, " n"]:
    r"""KL(p || q) of each sample, p = softmax(logits) and q = softmax(others): at least 0, up to rounding.

    >>> import torch
    >>> prediction_divergence(torch.zeros(1, 2), torch.tensor([[0.0, 0.0]]))
    tensor([0.])
    """
    return F.kl_div(others.log_softmax(1), logits.log_softmax(1), reduction="none", log_target=True).sum(1)


def trades_loss(
    logits: Float[Tensor, "n classes"],
    moved: Float[Tensor, "m classes"],
    labels: Int[Tensor, " n"],
    *,
    beta: float = 6.0,
) -> Float[Tensor, ""]:
    r"""Mean of CE(f(x), y) + beta KL(softmax f(x) || softmax f(x')): TRADES, given both logits.

    x' is searched to raise `prediction_divergence(f(x), f(x'))`, with f(x) held fixed; at x itself that has no slope,
    so the search starts beside it. `taut.training.ascent.ascend` is such a search. Gradients flow through both logits.

    Errors: ValueError for beta negative, and two shapes of logits.
    Source: Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan (2019), with beta 1 to 6.

    >>> import torch
    >>> trades_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6931)
    """
    not_negative("beta", beta)
    if logits.shape != moved.shape:
        raise ValueError(f"both logits must have one shape, got {tuple(logits.shape)} and {tuple(moved.shape)}")
    return F.cross_entropy(logits, labels) + beta * prediction_divergence(logits, moved).mean()
