"""Norms of the Jacobian at given points, sample by sample: how steep a network is where the data are."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.certify.breakdown import Norm, checked_norm
from taut.certify.estimates.estimate import usable
from taut.certify.estimates.float64_copy import check_function, device_of, float64_copy

_ENTRIES = 2**25
"""Numbers of the Jacobians that are in memory at once."""


def jacobian_norm_estimate(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    *,
    norm: str = "l2",
    batch_size: int = 100,
    progress: Callable[[int], None] = lambda _: None,
) -> Float[Tensor, " batch"]:
    r"""Norm of the Jacobian at each sample, in `norm` on both sides: the Lipschitz constant is not below the largest.

    Computed in float64, on a copy with the weights as they are stored, from one backward pass an output: the largest
    singular value (l2), or the largest sum of absolute values of a row (linf). It is true of the points alone, up to
    rounding: between them the network may be steeper, `lipschitz_bound` bounds that, and `estimate` searches it.

    `progress` is called with the number of samples done. Errors as for `estimate`.

    >>> import torch
    >>> net = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = net.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> x = torch.zeros(1, 2)
    >>> [round(float(jacobian_norm_estimate(net, x, norm=norm)), 9) for norm in ("l2", "linf")]
    [5.0, 7.0]
    """
    checked = checked_norm(norm)
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    twin = float64_copy(model, checked)
    points = usable(inputs).detach().to(device=device_of(twin), dtype=torch.float64)
    check_function(twin, points[:1])
    with torch.no_grad():
        outputs = twin(points[:1].clone()).numel()
    size = max(1, min(batch_size, _ENTRIES // max(1, outputs * points[0].numel())))
    norms = []
    for part in points.split(size):
        norms.append(_norm(_jacobians(twin, part), checked))
        progress(sum(map(len, norms)))
    return torch.cat(norms).cpu()


def _jacobians(twin: nn.Module, points: Tensor) -> Float[Tensor, "batch out in"]:
    with torch.enable_grad():
        points = points.clone().requires_grad_(True)
        out = twin(points).flatten(1)
    if not out.requires_grad:
        return points.new_zeros(len(points), out.shape[1], points[0].numel())
    rows = [
        torch.autograd.grad(row.sum(), points, retain_graph=True, allow_unused=True)[0] for row in out.unbind(dim=1)
    ]
    return torch.stack([(torch.zeros_like(points) if row is None else row).flatten(1) for row in rows], dim=1)


def _norm(jacobians: Float[Tensor, "batch out in"], norm: Norm) -> Float[Tensor, " batch"]:
    if norm == "linf":
        return jacobians.abs().sum(dim=2).amax(dim=1)
    return torch.linalg.matrix_norm(jacobians, ord=2)
