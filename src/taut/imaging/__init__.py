"""Pictures restored with proven denoisers: operators with known norms, plug-and-play iterations and their theorems."""

from taut.imaging.algorithms import (
    Course,
    Restoration,
    Step,
    admm,
    douglas_rachford,
    forward_backward,
    primal_dual,
)
from taut.imaging.condition import Condition, ConvergenceWarning
from taut.imaging.conditions import (
    admm_condition,
    default_step,
    douglas_rachford_condition,
    forward_backward_condition,
    primal_dual_condition,
)
from taut.imaging.denoiser import Denoiser, ProvenDenoiser
from taut.imaging.nonexpansive import nonexpansive
from taut.imaging.tv import TVDenoiser, tv_denoiser

__all__ = [
    "Condition",
    "ConvergenceWarning",
    "Course",
    "Denoiser",
    "ProvenDenoiser",
    "Restoration",
    "Step",
    "TVDenoiser",
    "admm",
    "admm_condition",
    "default_step",
    "douglas_rachford",
    "douglas_rachford_condition",
    "forward_backward",
    "forward_backward_condition",
    "nonexpansive",
    "primal_dual",
    "primal_dual_condition",
    "tv_denoiser",
]
