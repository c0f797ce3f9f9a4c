"""What a trained invertible network shows on held-out samples, in float64, and what is proven of its inverse."""

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taut.errors import UsageError, UserError
from taut.models import InvertibleNetwork, proven_contractions
from taut.models.invertible import UP, Inversion
from taut.tasks.invertible.config import Config
from taut.tasks.invertible.drawn import drawn_tensors
from taut.tasks.invertible.objective import Objective
from taut.tasks.invertible.problem import Problem, normal, transported

MOST_DIMENSIONS = 64
"""Dimensions up to which the likelihood is measured, exactly."""
CHUNK = 2000
_SHOWN = 1000
_WATCHED_TOLERANCE = 1e-11
_TRIED = 64
_LARGER = 4


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Parts of result.json, and the tensors of evaluation.safetensors."""

    figures: dict[str, Any]
    tensors: dict[str, Tensor]


def proven_rates(network: InvertibleNetwork) -> tuple[float, ...]:
    """The proven contraction of each block. UserError where none can be proven, or one is not below 1."""
    try:
        rates = proven_contractions(network)
    except (TypeError, ValueError) as error:
        raise UserError(f"no Lipschitz constant can be proven of a branch: {' '.join(str(error).split())}") from error
    if not max(rates) < 1:
        raise UserError(f"the proven constant of a branch times L is {max(rates):.7g}, and must be below 1")
    return rates


@torch.no_grad()
def measured(network: InvertibleNetwork, problem: Problem, config: Config) -> Measured:
    """All that is said of `network`, which is in float64, in evaluation mode, on the CPU."""
    rates = proven_rates(network)
    x, others = problem.held_out.double().flatten(1), problem.others.double().flatten(1)
    latents = normal(len(x), problem.features, "held-out", "samples").double()
    more = normal(len(x), problem.features, "held-out", "reference").double()
    try:
        z = network(x)
        tolerance, (sampled, back) = _inverted(network, (latents, z), rates, tolerance=config.evaluation.tolerance)
        watched = network.inversion(z, contractions=rates, block_tolerance=_watchable(z, rates))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{error} (give a larger --tolerance)") from error
    figures = {
        "contractions": list(rates),
        "inverse_lipschitz_bound": _inverse_bound(network, rates),
        "inversion": _inversion(back, x, tolerance),
        "mmd": _mmd(network, config, z=z, latents=latents, more=more, samples=sampled.x, x=x, others=others),
        "log_likelihood": _likelihood(network, problem),
        "wasserstein1": _transport(sampled.x, x, others, config.evaluation.transport_samples),
    }
    tensors = {
        "data": x[:_SHOWN],
        "samples": sampled.x[:_SHOWN],
        "latents": z[:_SHOWN],
        "residuals": torch.tensor([r for block in watched.blocks for r in block.residuals], dtype=torch.float64),
        "residual_counts": torch.tensor([len(block.residuals) for block in watched.blocks]),
        **drawn_tensors(network, problem, rates),
    }
    return Measured(figures=figures, tensors={name: tensor.detach().contiguous() for name, tensor in tensors.items()})


def check_inverse(network: InvertibleNetwork, config: Config, *, features: int) -> None:
    """UsageError, before anything is trained, where the inverse takes too many steps or rounding hides the tolerance.

    Trained weights have the same contractions, so that what is possible now is about what will be possible then.
    """
    z, exact = normal(_TRIED, features, "held-out", "samples"), copy.deepcopy(network).double().eval()
    try:
        exact.inversion(z.double(), tolerance=config.evaluation.tolerance, contractions=proven_rates(exact))
        exact.inversion(z.double(), block_tolerance=config.loss.block_tolerance)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the inverse of such a network cannot be computed: {error} (give a larger --tolerance or "
            "--block-tolerance, fewer --blocks, or a smaller --lipschitz)"
        ) from error


def _inverted(
    network: InvertibleNetwork, latents: Sequence[Tensor], rates: tuple[float, ...], *, tolerance: float
) -> tuple[float, list[Inversion]]:
    """The inverses within `tolerance`, or the smallest of ten, a hundred, ... times it that rounding allows; which."""
    for power in range(_LARGER):
        try:
            found = [network.inversion(z, tolerance=tolerance * 10**power, contractions=rates) for z in latents]
            return tolerance * 10**power, found
        except RuntimeError:
            hidden = f"rounding hides errors of {tolerance * 10**power:g} of the inverse: now to ten times that"
            print(f"taut: note: {hidden}", file=sys.stderr)
    return tolerance, [network.inversion(z, tolerance=tolerance, contractions=rates) for z in latents]


def _watchable(z: Tensor, rates: tuple[float, ...]) -> float:
    """A tolerance that rounding does not yet hide, for the picture of the residuals."""
    return max(_WATCHED_TOLERANCE, 64 * torch.finfo(z.dtype).eps * float(z.norm(dim=1).max()) / (1 - max(rates)))


def _inverse_bound(network: InvertibleNetwork, rates: tuple[float, ...]) -> float:
    bound = network.inverse_gain()
    for rate in rates:
        bound = bound / (1.0 - rate) * UP
    return bound


def _inversion(back: Inversion, x: Tensor, tolerance: float) -> dict[str, Any]:
    errors = (back.x - x).norm(dim=1)
    return {
        "tolerance": tolerance,
        "samples": len(x),
        "proven_steps": [block.proven_steps for block in back.blocks],
        "steps": [block.steps for block in back.blocks],
        "error_bound": back.error_bound,
        "max_error": float(errors.max()),
        "mean_error": float(errors.mean()),
    }


def _mmd(
    network: InvertibleNetwork,
    config: Config,
    *,
    z: Tensor,
    latents: Tensor,
    more: Tensor,
    samples: Tensor,
    x: Tensor,
    others: Tensor,
) -> dict[str, float]:
    """Roots of the biased MMD^2, each beside that of two true samples of the same number."""
    objective = Objective(network, config.loss)

    def root(a: Tensor, b: Tensor) -> float:
        return math.sqrt(max(0.0, float(objective.mmd(a, b, unbiased=False))))

    return {
        "forward": root(z, latents),
        "forward_reference": root(more, latents),
        "inverse": root(network.first(samples), network.first(x)),
        "inverse_reference": root(network.first(others), network.first(x)),
    }


def _likelihood(network: InvertibleNetwork, problem: Problem) -> dict[str, float | None] | None:
    """Mean log-likelihood of held-out samples, and of the true density at the same ones where it is known."""
    if problem.features > MOST_DIMENSIONS:
        return None
    x = problem.held_out.double()
    values = torch.cat([network.log_prob(part) for part in x.flatten(1).split(CHUNK)])
    truth = problem.target.log_density(x)
    gap = None if truth is None else truth - values
    return {
        "value": float(values.mean()),
        "standard_error": _standard_error(values),
        "truth": None if truth is None else float(truth.mean()),
        "gap": None if gap is None else float(gap.mean()),
        "gap_standard_error": None if gap is None else _standard_error(gap),
    }


def _standard_error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values))


def _transport(samples: Tensor, x: Tensor, others: Tensor, most: int) -> dict[str, float | int] | None:
    count = min(len(x), most)
    if count == 0:
        return None
    pairs = {"value": samples[:count], "reference": others[:count]}
    return {"samples": count, **{name: transported(drawn, x[:count]) for name, drawn in pairs.items()}}
