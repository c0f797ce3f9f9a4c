"""Logits as they could be at the edge of a ball, by the Lipschitz constants of their differences: before any loss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from taut.losses._samples import choice, positive

_EXACTLY = "donot_use_mm_for_euclid_dist"
"""Differences, not products, which lose the digits of rows that are close."""


def pair_constants(
    classes: int, head: Float[Tensor, "rows features"] | None = None, *, lipschitz: float = 1.0, norm: str = "l2"
) -> Float[Tensor, "classes classes"]:
    r"""L d_ij: the Lipschitz constant of logit i minus logit j in `norm`, for an L-Lipschitz body before `head`.

    d_ij is the dual norm of w_i - w_j, w the rows of the head W: l2 for "l2", l1 for "linf". Without `head` the logits
    as a whole are L-Lipschitz, and d is sqrt(2) for "l2", 2 for "linf" off the diagonal. It has the head's gradient.

    Errors: ValueError for another norm, L not positive, or a head of another number of classes.

    >>> pair_constants(2, torch.eye(2)), pair_constants(2, lipschitz=10.0, norm="linf")
    (tensor([[0.0000, 1.4142],
            [1.4142, 0.0000]]), tensor([[ 0., 20.],
            [20.,  0.]]))
    """
    choice("norm", norm, ("l2", "linf"))
    positive("lipschitz", lipschitz)
    if head is None:
        return lipschitz * (2**0.5 if norm == "l2" else 2.0) * (1 - torch.eye(classes))
    if len(head) != classes:
        raise ValueError(f"the head must have a row for each of {classes} classes, got {len(head)}")
    rows = head.float() if torch.finfo(head.dtype).bits < 32 else head
    return lipschitz * torch.cdist(rows, rows, p=2.0 if norm == "l2" else 1.0, compute_mode=_EXACTLY)


def worst_case_logits(
    logits: Float[Tensor, "n classes"],
    labels: Int[Tensor, " n"],
    constants: Float[Tensor, "classes classes"],
    *,
    eps: float,
) -> Float[Tensor, "n classes"]:
    r"""z_j - z_y + eps c_yj: no point within eps of the sample has a larger difference of the logits j and y.

    If logit y is still the largest, the sample is certified at eps; the cross-entropy of these logits asks for just
    that (Lipschitz-margin training). `constants` are c, such as `pair_constants`.

    Errors: ValueError unless eps is positive and finite. Source: Tsuzuku, Sato and Sugiyama (2018).

    >>> worst_case_logits(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), pair_constants(2), eps=0.5)
    tensor([[ 0.0000, -0.2929]])
    """
    positive("eps", eps)
    return logits - logits.gather(1, labels[:, None]) + eps * constants.to(logits)[labels]


def emma_logits(
    logits: Float[Tensor, "n classes"],
    labels: Int[Tensor, " n"],
    constants: Float[Tensor, "classes classes"],
    *,
    eps: float,
) -> Float[Tensor, "n classes"]:
    r"""z_j - z_y + s_j eps c_yj, s_j = clip((z_y - z_j) / (eps c_yj), 0.01, 1) without gradient.

    Each class is moved as far as it can go before the sample would be lost to it, and no farther than eps: classes that
    are far behind are asked for the whole radius, close ones for what they have. With the cross-entropy this is EMMA
    (efficient margin maximisation). `constants` as above.

    Errors: ValueError unless eps is positive and finite. Source: Hu, Leino, Wang and Fredrikson (2024).

    >>> emma_logits(torch.tensor([[1.0, 0.0, 0.9]]), torch.tensor([0]), pair_constants(3), eps=0.5)
    tensor([[ 0.0000, -0.2929,  0.0000]])
    """
    positive("eps", eps)
    behind = logits - logits.gather(1, labels[:, None])
    reach = eps * constants.to(logits)[labels]
    share = (-behind / reach.clamp_min(torch.finfo(logits.dtype).tiny)).clamp(0.01, 1.0).detach()
    return behind + share * reach
