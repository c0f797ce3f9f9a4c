"""What is proven of each sample in the norm of an attack, whichever norm the run was certified in."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.data import Split
from taut.errors import UserError
from taut.tasks.classification.config import EvaluationConfig
from taut.tasks.classification.measure import assessed, certified

_DOWN = 1 - 2.0**-50
"""More than the rounding of a square root and a quotient."""


@dataclass(frozen=True, kw_only=True)
class Proven:
    """Certified radii in one norm, and where they come from."""

    norm: str
    certified: bool
    """False where nothing is proven of the network at all."""
    radius: Float[Tensor, " samples"]
    """0 where nothing is proven."""
    lipschitz_bound: float | None
    """In this norm; None where there is no direct certificate."""
    clean_accuracy: float
    """Of all samples, in float64."""
    how: str
    """In words."""

    def certified_accuracy(self, eps: float, count: int | None = None) -> float:
        """Fraction, of the first `count` samples or of all, that is certified at `eps`."""
        return float((self.radius[:count] > eps).double().mean())


def proven(model: nn.Module, split: Split, config: EvaluationConfig, *, norm: str, quiet: bool = False) -> Proven:
    """Radii of `split` in `norm`. In another norm than the run's, for each sample the larger of what is proven
    directly and of what the certificate in the run's norm implies.

    ||d||_2 <= sqrt(n) ||d||_inf for n entries, so that an l2 radius r is an linf radius r / sqrt(n); and
    ||d||_inf <= ||d||_2, so that an linf radius is an l2 radius.

    Raises UserError where the run says that it is certified, and there is no certificate in its own norm.
    """
    own = assessed(model, split, config, quiet=quiet)
    radius = torch.as_tensor(own.radius, dtype=torch.float64)
    if not config.certify:
        bound, how = None, "not certified"
    elif norm == config.norm:
        bound, how = own.lipschitz_bound, f"proven in {norm}"
    else:
        radius = implied_radius(radius, norm, split.inputs[0].numel())
        implied = f"the {config.norm} radius" + (" / sqrt(entries)" if norm == "linf" else "")
        try:
            direct = certified(model, split, norm=norm, quiet=quiet)
        except UserError:
            bound, how = None, f"{implied}, since there is no rule for a constant in {norm}"
        else:
            radius = torch.maximum(radius, torch.as_tensor(direct.radius, dtype=torch.float64))
            bound, how = direct.lipschitz_bound, f"the larger of the radius proven in {norm} and of {implied}"
    return Proven(
        norm=norm,
        certified=config.certify,
        radius=radius,
        lipschitz_bound=bound,
        clean_accuracy=own.accuracy,
        how=how,
    )


def implied_radius(radius: Float[Tensor, " samples"], norm: str, entries: int) -> Float[Tensor, " samples"]:
    """The radius in `norm` that one in the other norm implies, rounded down.

    >>> implied_radius(torch.tensor([1.0], dtype=torch.float64), "linf", 4)
    tensor([0.5000], dtype=torch.float64)
    """
    return radius / math.sqrt(entries) * _DOWN if norm == "linf" else radius
