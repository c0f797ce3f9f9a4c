"""Certificate regularisation: a reward for the radius that a classifier with a known constant proves."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from taut.losses.lipschitz_margin import pair_constants


def certificate_regularisation(
    logits: Float[Tensor, "n classes"],
    labels: Int[Tensor, " n"],
    head: Float[Tensor, "rows features"] | None = None,
    *,
    lipschitz: float = 1.0,
    norm: str = "l2",
) -> Float[Tensor, ""]:
    r"""-mean max(0, r), r = min_j (z_y - z_j) / (L d_yj): to be added to a loss with a weight, such as 0.5.

    r is the certified radius of a sample if z = W b(x) + c with an L-Lipschitz body b in `norm` and d_ij is the dual
    norm of w_i - w_j: l2 for "l2", l1 for "linf". Without `head`, which is W, z as a whole is L-Lipschitz, and d is
    sqrt(2) for "l2", 2 for "linf". Samples that are classified wrongly are left to the loss. What is proven of the
    trained network is what `taut.certify.robustness` says.

    Errors: ValueError for another norm, L not positive, or a head of another number of classes.
    Source: Singla, Singla and Feizi (2022).

    >>> certificate_regularisation(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.eye(2))
    tensor(-0.7071)
    """
    if not len(logits) or logits.shape[1] < 2:
        raise ValueError(f"there must be one sample or more and two classes or more, got shape {tuple(logits.shape)}")
    between = pair_constants(logits.shape[1], head, lipschitz=lipschitz, norm=norm).to(logits)[labels]
    gaps = logits.gather(1, labels[:, None]) - logits
    own = F.one_hot(labels, logits.shape[1]).bool()
    left_out = own | ((between == 0) & (gaps > 0))  # two equal rows keep their order everywhere
    radius = gaps / between.clamp_min(torch.finfo(gaps.dtype).tiny)
    smallest = radius.masked_fill(left_out, torch.inf).amin(1).clamp_min(0)
    return -smallest.masked_fill(left_out.all(1), 0.0).mean()
