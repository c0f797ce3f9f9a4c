r"""Linear layer kept near-orthogonal by a projection after every update: no constraint in the forward pass at all."""

import torch
from torch import Tensor, nn

from taut.functional import bjorck_step, polar_factor
from taut.functional._precision import at_least_float32
from taut.nn._parametrized import checked_sizes, init_orthogonal

# Distance from orthogonality (Frobenius norm of W^T W - I) up to which Björck steps are cheaper than the polar factor,
# and the distance from which one last step ends within the precision of the weight.
_NEAR = 0.5
_LAST = {torch.float32: 1e-3, torch.float64: 1e-8}


class ParsevalLinear(nn.Linear):
    r"""x -> W x + b, W orthogonal after each `project_()`: 1-Lipschitz (l2) as measured by `taut.lipschitz_bound`.

    Call `project_()` (or `taut.optim.project_(model)`) after each optimizer step: one Björck step
    W <- (1 + beta) W - beta W W^T W when W is near-orthogonal, the exact polar factor when it is not. Between an
    update and its projection the weight is what the optimizer made of it; bounds and certificates always measure the
    weight that is there.

    Forward and backward cost exactly those of torch.nn.Linear.

    Shapes: (*, in_features) -> (*, out_features).
    Args: `beta` in (0, 1/2], the step of the retraction: 1/2 is tightest; smaller lets singular values drift
    (Parseval networks).
    Errors: ValueError for sizes below 1 or beta outside (0, 1/2].
    Source: Cissé et al. (2017), with the convergent step size.

    >>> import torch
    >>> layer = ParsevalLinear(8, 4)
    >>> with torch.no_grad():
    ...     _ = layer.weight.mul_(1.3)
    >>> layer.project_()
    >>> bool(torch.linalg.svdvals(layer.weight).amax() < 1.1)
    True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        beta: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        checked_sizes(in_features, out_features)
        if not 0 < beta <= 0.5:
            raise ValueError(f"beta must be in (0, 0.5], got {beta}")
        super().__init__(in_features, out_features, bias, device, dtype)
        self.beta = beta

    reset_parameters = init_orthogonal

    @torch.no_grad()
    def project_(self) -> None:
        """Bring the weight back, in place: Björck steps when near-orthogonal, else the polar factor."""
        weight = at_least_float32(self.weight)
        if self.beta < 0.5:
            self.weight.copy_(bjorck_step(weight, beta=self.beta))
            return
        distance = _distance(weight)
        while _LAST[weight.dtype] < distance < _NEAR:  # NaN ends it
            weight = bjorck_step(weight)
            distance = _distance(weight)
        self.weight.copy_(bjorck_step(weight) if distance < _NEAR else polar_factor(weight))


def _distance(weight: Tensor) -> float:
    """Frobenius norm of the Gram matrix of the smaller side minus the identity."""
    gram = weight @ weight.mT if weight.shape[0] < weight.shape[1] else weight.mT @ weight
    gram.diagonal().sub_(1.0)
    return float(torch.linalg.matrix_norm(gram))
