"""What a restoration leaves behind: result.json, and a number for each iteration."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taut.imaging import Condition, Restoration, TVDenoiser
from taut.imaging.metrics import psnr, ssim
from taut.tasks.provenance import provenance
from taut.tasks.restoration.config import Config
from taut.tasks.restoration.denoisers import Chosen
from taut.tasks.restoration.iteration import DESCRIPTIONS, step_size
from taut.tasks.restoration.problem import Problem

_GROWTH = 10.0
"""An iteration whose residual ended so many times higher than it began went away, whatever it did on the way."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A denoiser, what the iteration around it gave, and the steps in which all was finite."""

    chosen: Chosen
    found: Restoration

    @property
    def steps(self) -> int:
        """Iterations before the first that left the finite numbers."""
        rows = [self.found.course.residual, *([self.found.course.psnr] if self.found.course.psnr else [])]
        bad = [at for row in rows for at, value in enumerate(row) if not math.isfinite(value)]
        return min(bad, default=len(rows[0]))

    @property
    def diverged(self) -> bool:
        """Whether the iterates ran away."""
        course, steps = self.found.course, self.steps
        return steps < len(course.residual) or course.residual[steps - 1] > _GROWTH * course.residual[0]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The rows of evaluation.safetensors."""
        course, steps = self.found.course, self.steps
        rows = {name: as_row(course.residual[:steps])}
        return rows | ({f"{name}_psnr": as_row(course.psnr[:steps])} if course.psnr else {})

    def figures(self, truth: Tensor | None) -> dict[str, Any]:
        """The entry of the denoiser in result.json."""
        denoiser, bound = self.chosen.denoiser, self.chosen.denoiser.lipschitz_bound
        return {
            "name": self.chosen.name,
            "strength": self.chosen.strength,
            "sigma": None if self.chosen.sigma is None else 255 * self.chosen.sigma,
            "lipschitz_bound": bound if math.isfinite(bound) else None,
            "averaged": denoiser.averaged,
            "inexact": isinstance(denoiser, TVDenoiser),
            "check": check_figures(self.found.condition, inexact=isinstance(denoiser, TVDenoiser)),
            "residual": self._residual_figures(),
            "quality": None if self.diverged else quality(self.found.image, truth),
        }

    def _residual_figures(self) -> dict[str, Any]:
        course, steps = self.found.course, self.steps
        residual, rounding = course.residual[:steps], course.rounding[:steps]
        rises = [
            (before, after)
            for before, after, r0, r1 in zip(residual, residual[1:], rounding, rounding[1:], strict=False)
            if after > before + r0 + r1
        ]
        return {
            "steps": steps,
            "first": residual[0],
            "last": residual[-1],
            "increases": len(rises),
            "largest_increase": max((after / before for before, after in rises if before), default=1.0),
            "rounding": 2 * max(rounding),
            "diverged": self.diverged,
            "converged": course.converged,
        }


def check_figures(condition: Condition, *, inexact: bool) -> dict[str, Any]:
    """What is proven, for people; `inexact` of a denoiser that is itself computed to a tolerance."""
    if condition.reason is not None:
        verdict = f"Not proven here: {condition.reason}."
    elif condition.factor is not None:
        verdict = (
            "So it converges, and each iteration multiplies the distance to the fixed point by at most "
            f"{condition.factor:.6g}."
        )
    else:
        verdict = "So it converges to a fixed point, if there is one."
    if condition.monotone and condition.converges:
        where = "" if condition.norm == "l2" else f" in the {condition.norm} norm"
        verdict += f" Its residual never rises{where}."
    if condition.converges and inexact:
        verdict += " That is about the exact denoiser; it is computed to a tolerance, near which residuals may rise."
    return {
        "holds": condition.converges,
        "monotone": condition.monotone,
        "factor": condition.factor,
        "theorem": f"{condition.theorem} ({condition.source})",
        "verdict": verdict,
    }


def quality(restored: Tensor, truth: Tensor | None) -> dict[str, float] | None:
    """PSNR and SSIM against the truth; None where there is none."""
    if truth is None:
        return None
    made, clean = restored.cpu().double()[None], truth.double()[None]
    return {"psnr": float(psnr(made, clean)), "ssim": float(ssim(made, clean))}


def result(
    config: Config,
    problem: Problem,
    denoiser: Outcome,
    beside: Outcome | None,
    *,
    recipe: str,
    command: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of result.json."""
    image, noise = problem.image, problem.sigma_noise
    return {
        "task": config.task,
        "recipe": recipe,
        "image": {
            "name": config.image.name,
            "shape": list(problem.start.shape),
            "bits": image.bits,
            "alpha": image.alpha is not None,
            "notes": list(image.notes),
        },
        "measured": config.measured,
        "operator": {
            "name": config.operator.operator,
            "description": problem.operator.description,
            "norm_bound": problem.operator.norm_bound,
            "sigma_noise": None if noise is None else 255 * noise,
        },
        "algorithm": {
            "name": config.algorithm.algorithm,
            "description": DESCRIPTIONS[config.algorithm.algorithm],
            "step_size": step_size(config.algorithm, problem),
        },
        "start": quality(problem.start, problem.truth),
        "denoiser": denoiser.figures(problem.truth),
        "beside": None if beside is None else beside.figures(problem.truth),
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }


def as_row(values: Sequence[float]) -> Tensor:
    """Numbers in float64."""
    return torch.tensor(values, dtype=torch.float64)
