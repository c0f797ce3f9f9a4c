r"""Linear layer whose rows are brought back into the l1 ball after every update: no constraint in the forward pass."""

import torch
from torch import nn

from taut.functional import project_rows_l1
from taut.nn._parametrized import checked_sizes

_SPREAD = 0.3


class LInfProjectedLinear(nn.Linear):
    r"""x -> W x + b, rows of W of l1 norm at most 1 after each `project_()`: then 1-Lipschitz in linf, not in l2.

    Call `project_()` (or `taut.optim.project_(model)`) after each optimizer step: projected gradient descent, with the
    Euclidean projection of every row onto the l1 ball. `LInfLinear` projects in the forward pass instead. Between an
    update and its projection the weight is what the optimizer made of it; bounds and certificates always measure the
    weight that is there. Forward and backward cost exactly those of torch.nn.Linear.

    Shapes: (*, in_features) -> (*, out_features).
    Errors: ValueError for sizes below 1.
    Source: Anil, Lucas and Grosse (2019), section 4.3; Condat (2016).

    >>> import torch
    >>> layer = LInfProjectedLinear(8, 4)
    >>> with torch.no_grad():
    ...     _ = layer.weight.mul_(5.0)
    >>> layer.project_()
    >>> bool((layer.weight.abs().sum(1) <= 1).all())
    True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        checked_sizes(in_features, out_features)
        super().__init__(in_features, out_features, bias, device, dtype)

    def reset_parameters(self) -> None:
        """Normal weights, projected: rows with few entries that are not 0, so that signals do not shrink on their way.

        Entries of one size would be 1 / in_features each, and their sum no larger than a root of it.
        """
        super().reset_parameters()  # of the bias
        nn.init.normal_(self.weight, std=_SPREAD)
        if not self.weight.is_meta:
            self.project_()

    @torch.no_grad()
    def project_(self, *, exact: bool = False) -> None:
        """Bring every row back into the l1 ball, in place; the projection is always exact."""
        del exact
        self.weight.copy_(project_rows_l1(self.weight))
