r"""Constants of torch's normalisation layers, proven from the scales and statistics that are stored.

With stored statistics (BatchNorm in evaluation mode) the layer is affine: max |gamma| / sqrt(var + eps), l2 and linf.

With statistics of the sample itself (LayerNorm, GroupNorm, InstanceNorm, RMSNorm) the derivative is
gamma / sigma (P - z z^T / n), where P subtracts the mean (RMSNorm: P = I), sigma^2 = var + eps, z is the normalised
sample, orthogonal to the mean, |z|^2 / n < 1. So the l2 constant is at most max |gamma| / sqrt(eps), and at a constant
sample it is that: some 316 for torch's eps. No bound is known in linf that does not grow with n.
"""

from typing import Any

import torch
from torch import Tensor, nn

from taut.certify.breakdown import Norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import Proof
from taut.certify.rounding import div_up, inflate, mul_up, sqrt_down

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
SAMPLE_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, *INSTANCE_NORMS)


def is_normalisation(module: nn.Module) -> bool:
    """One of torch's own, by exact type: a subclass may compute something else."""
    return type(module) in (*BATCH_NORMS, *SAMPLE_NORMS)


def normalisation_proof(module: Any, norm: Norm) -> Proof:
    """The layer's constant. ValueError that says why there is none."""
    if type(module) in BATCH_NORMS or (type(module) in INSTANCE_NORMS and module.track_running_stats):
        if module.training:
            raise ValueError("it divides by the statistics of the batch in training mode: call .eval()")
        if module.running_var is None:
            raise ValueError("it divides by the statistics of the batch, as track_running_stats is False")
        return stored_statistics_proof(module.weight, module.running_var, module.eps)
    return sample_statistics_proof(module.weight, module.eps, norm)


def stored_statistics_proof(weight: Tensor | None, variance: Tensor, eps: float) -> Proof:
    """max |gamma| / sqrt(var + eps), rounded up."""
    variance = exact_float64(variance) + eps
    if not bool((variance > 0).all()):
        raise ValueError("running_var + eps must be positive")
    scale = torch.ones_like(variance) if weight is None else exact_float64(weight).abs()
    constants = torch.where(scale == 0, scale, inflate(scale / variance.sqrt()))
    return Proof(bound=float(constants.amax()), method="scales over stored deviations")


def sample_statistics_proof(weight: Tensor | None, eps: float | None, norm: Norm) -> Proof:
    """max |gamma| / sqrt(eps), rounded up."""
    if norm != "l2":
        raise ValueError(f"no bound is known for the statistics of a sample in {norm}, only in l2")
    if eps is None or not eps > 0:
        raise ValueError(f"with eps = {eps} it has no largest slope: give a positive eps")
    scale = 1.0 if weight is None else float(exact_float64(weight).abs().amax())
    return Proof(bound=mul_up(scale, div_up(1.0, sqrt_down(eps))), method="largest scale over sqrt(eps)")
