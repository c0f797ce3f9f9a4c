"""Losses that ask a 1-Lipschitz classifier for margin, in units of the input norm."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def temperature_offset_cross_entropy(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float = 0.25,
    offset: float = 1.5 * math.sqrt(2),
    reduction: str = "mean",
) -> Float[Tensor, "*mean"]:
    r"""t CE((z - o onehot(y)) / t), mean over the batch: pushes until the margin passes `offset`.

    `reduction` "none" gives the loss of each sample. Temperature 1 is the cross-entropy shifted by a margin.

    Small temperatures approach the hinge max(0, o - margin). Source: Prach and Lampert (2022); Araujo et al. (2023).
    Errors: ValueError unless temperature > 0.

    >>> import torch
    >>> logits, labels = torch.tensor([[9.0, 0.0]]), torch.tensor([0])
    >>> bool(temperature_offset_cross_entropy(logits, labels) < 1e-6)
    True
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    shifted = logits - offset * F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return temperature * F.cross_entropy(shifted / temperature, labels, reduction=_reduction(reduction))


def logit_annealing_loss(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float = 0.75,
    offset: float = 2.0,
    exponent: float = 5.0,
    reduction: str = "mean",
) -> Float[Tensor, "*mean"]:
    r"""(1 - p)^b times the temperature-offset loss, p the probability of the label in it, mean over the batch.

    A network of little capacity cannot have a large margin at every sample: once p is near 1 a sample is let go, and
    the others are worked on. `exponent` is b, 0 the temperature-offset loss. `reduction` "none" gives the loss of each
    sample. Errors: ValueError unless temperature > 0 and
    exponent is 0 or at least 1: between them the gradient is infinite where p is 1. Source: Lai et al. (2025).

    >>> logits, labels = torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0])
    >>> logit_annealing_loss(logits, labels, reduction="none")
    tensor([6.9321e-05, 1.4654e+00])
    """
    if not (exponent == 0 or exponent >= 1):
        raise ValueError(f"exponent must be 0, or at least 1, got {exponent}")
    each = temperature_offset_cross_entropy(logits, labels, temperature=temperature, offset=offset, reduction="none")
    annealed = each * (-torch.expm1(-each / temperature)) ** exponent
    return annealed if _reduction(reduction) == "none" else annealed.mean()


def margin_loss(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    margin: float,
    reduction: str = "mean",
) -> Float[Tensor, "*mean"]:
    r"""max(0, margin - (z_y - max_{j != y} z_j)), mean over the batch: the multi-class hinge on the smallest margin.

    Scale `margin` by the Lipschitz constant of the network. `reduction` "none" gives the loss of each sample.
    Errors: ValueError unless margin > 0.

    >>> import torch
    >>> margin_loss(torch.tensor([[1.0, 0.5]]), torch.tensor([0]), margin=2.0)
    tensor(1.5000)
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    own = F.one_hot(labels, logits.shape[1]).bool()
    others = logits.masked_fill(own, -math.inf).amax(1)
    each = (margin - (logits[own] - others)).clamp_min(0)
    return each if _reduction(reduction) == "none" else each.mean()


def cross_entropy_with_hinge(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    margin: float,
    weight: float,
    scale: float | Float[Tensor, ""] = 1.0,
    reduction: str = "mean",
) -> Float[Tensor, "*any"]:
    r"""weight CE(scale z) + max(0, 1 - (z_y - max_{j != y} z_j) / margin), mean over the batch.

    The hinge alone asks for what is certified, but only of the two largest logits; the cross-entropy moves all of them
    early in training, and is to fade: `weight` from 0.1 to 0.001. For a network that is L-Lipschitz in linf, a radius
    eps is certified at the margin 2 L eps. `scale` may be a parameter that is learned.

    Errors: ValueError unless margin > 0 and weight >= 0. Source: Zhang, Jiang, He and Wang (2022).

    >>> import torch
    >>> cross_entropy_with_hinge(torch.tensor([[1.0, 0.5]]), torch.tensor([0]), margin=2.0, weight=0.0)
    tensor(0.7500)
    """
    if not weight >= 0:
        raise ValueError(f"weight must be >= 0, got {weight}")
    hinge = margin_loss(logits, labels, margin=margin, reduction=reduction) / margin
    return weight * F.cross_entropy(scale * logits, labels, reduction=_reduction(reduction)) + hinge


def kr_loss(outputs: Float[Tensor, "*any"], positive: torch.Tensor) -> Float[Tensor, ""]:
    r"""-(mean of f over positives - mean of f over the rest): minus the Kantorovich-Rubinstein dual value.

    `positive` is a boolean tensor of the same shape. Errors: ValueError when one side is empty.

    >>> import torch
    >>> kr_loss(torch.tensor([1.0, -1.0]), torch.tensor([True, False]))
    tensor(-2.)
    """
    count = int(positive.sum())
    if count in (0, positive.numel()):
        raise ValueError(f"both sides need samples, got {count} positives of {positive.numel()}")
    return outputs[~positive].mean() - outputs[positive].mean()


def hkr_loss(
    outputs: Float[Tensor, "*any"], positive: torch.Tensor, *, alpha: float, margin: float = 1.0
) -> Float[Tensor, ""]:
    r"""alpha hinge + (1 - alpha) KR: the hinge-regularised Kantorovich-Rubinstein loss for two classes.

    Errors: ValueError unless 0 <= alpha <= 1. Source: Serrurier et al. (2021).

    >>> import torch
    >>> hkr_loss(torch.tensor([1.0, -1.0]), torch.tensor([True, False]), alpha=0.5)
    tensor(-1.)
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    sign = torch.where(positive, 1.0, -1.0).to(outputs)
    hinge = (margin - sign * outputs).clamp_min(0).mean()
    return alpha * hinge + (1 - alpha) * kr_loss(outputs, positive)


def multiclass_hkr_loss(
    logits: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    *,
    alpha: float,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    r"""alpha hinge + (1 - alpha) KR, one class against all others, mean over the classes.

    The hinge of class c is max(0, m - z_c) at its samples, with the weight C - 1, and max(0, m + z_c) at the others;
    KR is `kr_loss` of z_c, mean over the classes that some samples of the batch have and some have not.

    Errors: ValueError unless 0 <= alpha <= 1 and margin > 0. Source: Serrurier et al. (2021).

    >>> multiclass_hkr_loss(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([0, 1]), alpha=0.5)
    tensor(-1.)
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    own = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    hinge = own * (logits.shape[1] - 1) * (margin - logits).clamp_min(0) + (1 - own) * (margin + logits).clamp_min(0)
    of, others = own.sum(0), (1 - own).sum(0)
    there = (of > 0) & (others > 0)
    apart = (own * logits).sum(0) / of.clamp_min(1) - ((1 - own) * logits).sum(0) / others.clamp_min(1)
    kr = -(apart * there).sum() / there.sum().clamp_min(1)
    return alpha * hinge.mean() + (1 - alpha) * kr


def _reduction(name: str) -> str:
    if name not in ("mean", "none"):
        raise ValueError(f"reduction must be 'mean' or 'none', got {name!r}")
    return name
