"""The iteration that was asked for, with its theorem checked before it runs."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import torch

from taut.errors import UsageError, UserError
from taut.imaging import (
    Condition,
    ConvergenceWarning,
    Restoration,
    Step,
    admm,
    default_step,
    douglas_rachford,
    forward_backward,
    primal_dual,
)
from taut.tasks.restoration.config import AlgorithmConfig
from taut.tasks.restoration.denoisers import Chosen
from taut.tasks.restoration.problem import Problem

DESCRIPTIONS = {
    "forward-backward": "forward-backward splitting",
    "admm": "ADMM",
    "douglas-rachford": "Douglas-Rachford splitting",
    "primal-dual": "primal-dual splitting",
}
_ITERATIONS = {
    "forward-backward": forward_backward,
    "admm": admm,
    "douglas-rachford": douglas_rachford,
    "primal-dual": primal_dual,
}


def step_size(config: AlgorithmConfig, problem: Problem) -> float:
    """The step that was asked for, or the usual one. UsageError for an operator that maps every picture to zero."""
    try:
        return default_step(problem.operator) if config.step_size is None else config.step_size
    except ValueError as error:
        raise UsageError(" ".join(str(error).split())) from error


def check(config: AlgorithmConfig, problem: Problem, chosen: Chosen, *, refuse: bool) -> Condition:
    """What is proven of the iteration, found by one step of it.

    Raises:
        UserError: Nothing proves that it converges, and `refuse`: the theorem and the number that fails.
        UsageError: The denoiser does not take such a picture, or not for this noise level; a step that is too large to
            solve for.
    """
    one = replace(config, steps=1)
    try:
        found = restore(one, problem, chosen, device=torch.device("cpu")).condition
    except ValueError as error:
        what = f"{DESCRIPTIONS[config.algorithm]} with the denoiser {chosen.name}"
        raise UsageError(f"{what} cannot be carried out: {' '.join(str(error).split())}") from error
    if refuse and not found.converges:
        raise UserError(f"nothing proves that this converges: {found}; --check warn goes on all the same")
    return found


def restore(
    config: AlgorithmConfig,
    problem: Problem,
    chosen: Chosen,
    *,
    device: torch.device,
    on_step: Callable[[Step], None] | None = None,
) -> Restoration:
    """Iterate from the start of the problem, whether or not a theorem holds: the condition says which."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is said in the result
        return _ITERATIONS[config.algorithm](
            problem.operator,
            problem.measurement.to(device),
            chosen.denoiser.to(device),
            step=step_size(config, problem),
            sigma=chosen.sigma,
            iterations=config.steps,
            tolerance=config.tolerance,
            start=problem.start.to(device),
            truth=None if problem.truth is None else problem.truth.to(device),
            on_step=on_step,
            check="warn",
        )
