"""What every attack asks of its arguments and of the model, said in one sentence where it is not so."""

import math

import torch
from torch import Tensor, nn

_PROBES = 8
"""Random points at which outputs are looked at beside those at the samples."""


def check_options(
    inputs: Tensor,
    *,
    eps: float = 1.0,
    norm: str = "l2",
    steps: int = 1,
    restarts: int = 1,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Raise ValueError unless eps, steps and restarts are positive, the norm is known and inputs lie in `bounds`."""
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    if not (math.isfinite(eps) and eps > 0):
        raise ValueError(f"eps must be a positive number, got {eps}")
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps and restarts must be at least 1, got {steps} and {restarts}")
    low, high = bounds
    if len(inputs) and not (low <= float(inputs.min()) and float(inputs.max()) <= high):
        raise ValueError(
            f"inputs must lie in {bounds}, got values in [{float(inputs.min()):g}, {float(inputs.max()):g}]"
        )


@torch.no_grad()
def check_logits(model: nn.Module, inputs: Tensor, *, bounds: tuple[float, float] = (0.0, 1.0)) -> None:
    """Raise ValueError unless `model` returns logits: finite, two or more a sample, and not probabilities.

    Attacked through a softmax, a network looks far more robust than it is, since gradients vanish where it is sure.
    Outputs are taken for probabilities if they are nonnegative and sum to 1 at the samples and at random points.
    """
    noise = torch.rand((_PROBES, *inputs.shape[1:]), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probes = (bounds[0] + (bounds[1] - bounds[0]) * noise).to(inputs)
    output = model(torch.cat([inputs[:64], probes]))
    if output.ndim != 2 or output.shape[1] < 2:
        raise ValueError(
            "an attack needs a model that returns logits of two or more classes for each sample, "
            f"got an output of shape {tuple(output.shape)}"
        )
    if not bool(torch.isfinite(output).all()):
        raise ValueError("an attack needs a model that returns finite logits, got NaN or infinity")
    room = 1e3 * torch.finfo(output.dtype).eps
    if bool((output >= 0).all()) and bool(((output.sum(dim=1) - 1).abs() <= room).all()):
        raise ValueError(
            "the model returns probabilities (nonnegative, with sum 1), but attacks need logits: remove its softmax"
        )
