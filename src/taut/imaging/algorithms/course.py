r"""The course of a fixed-point iteration: what is measured at each step, and when it ends."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from taut.imaging.condition import Condition

State = tuple[Tensor, ...]
ROUNDING = 64.0
"""Rounding of one step is taken to be at most so many eps of the norm of the iterate: two steps may differ by that."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the iteration, as the callback gets it."""

    iteration: int
    """From 1."""
    residual: float
    """|T(z) - z| over all images, in the norm of the theorem."""
    rounding: float
    """64 eps |z| in that norm, eps of the coarsest numbers in use: a residual that grows by less has not grown, as far
    as this precision can say."""
    data_fit: float
    """|A x - y| in l2 over all images."""
    change: float
    """|x+ - x| / |x| of the picture."""
    psnr: float | None
    """Mean over the images, in dB, where the true picture was given."""
    image: Tensor = field(repr=False)
    """The picture x, before it is clipped to any range."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """The numbers of `Step` for all steps."""

    residual: tuple[float, ...]
    rounding: tuple[float, ...]
    data_fit: tuple[float, ...]
    change: tuple[float, ...]
    psnr: tuple[float, ...] | None
    converged: bool
    """Whether the residual came below the tolerance times |z|."""

    @property
    def monotone(self) -> bool:
        """Whether the residual never grew by more than rounding explains."""
        return self.largest_growth <= 0.0

    @property
    def largest_growth(self) -> float:
        """The most by which a residual exceeds the one before and the rounding of both steps; NaN is infinite growth.

        -inf where there is one step alone.
        """
        pairs = zip(self.residual, self.residual[1:], self.rounding, self.rounding[1:], strict=False)
        grown = [after - before - r0 - r1 for before, after, r0, r1 in pairs]
        return max((math.inf if math.isnan(value) else value for value in grown), default=-math.inf)


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """What an iteration returns."""

    image: Tensor
    """The restored picture or batch, as it was left, not clipped."""
    course: Course
    condition: Condition
    """What was proven of it."""


def l2(state: State) -> float:
    """The l2 norm over everything, summed in float64."""
    return math.sqrt(sum(float(part.double().square().sum()) for part in state))


def iterate(
    start: State,
    advance: Callable[[State], tuple[State, Tensor]],
    *,
    norm: Callable[[State], float],
    data_fit: Callable[[Tensor], float],
    iterations: int,
    tolerance: float,
    truth: Tensor | None,
    on_step: Callable[[Step], None] | None,
    precision: torch.dtype,
) -> tuple[Tensor, Course]:
    """z <- T(z) until |T(z) - z| <= tolerance |z|, the residual is no number, or the iterations are over."""
    if iterations < 1 or not tolerance >= 0.0:
        raise ValueError(f"iterations must be at least 1 and tolerance not negative, got {iterations} and {tolerance}")
    steps: list[Step] = []
    state, image, converged = start, start[0], False
    for iteration in range(1, iterations + 1):
        following, restored = advance(state)
        size = norm(following)
        step = Step(
            iteration=iteration,
            residual=norm(tuple(a - b for a, b in zip(following, state, strict=True))),
            rounding=ROUNDING * torch.finfo(precision).eps * size,
            data_fit=data_fit(restored),
            change=l2((restored - image,)) / max(l2((image,)), torch.finfo(torch.float64).tiny),
            psnr=None if truth is None else _psnr(restored, truth),
            image=restored,
        )
        steps.append(step)
        state, image = following, restored
        if on_step is not None:
            on_step(step)
        converged = step.residual <= tolerance * size
        if converged or not math.isfinite(step.residual):
            break
    return image, _course(steps, converged)


def _course(steps: list[Step], converged: bool) -> Course:
    ratios = [step.psnr for step in steps if step.psnr is not None]
    return Course(
        residual=tuple(step.residual for step in steps),
        rounding=tuple(step.rounding for step in steps),
        data_fit=tuple(step.data_fit for step in steps),
        change=tuple(step.change for step in steps),
        psnr=tuple(ratios) if ratios else None,
        converged=converged,
    )


def _psnr(image: Tensor, truth: Tensor) -> float:
    from taut.imaging.metrics import psnr

    size = (-1, *image.shape[-3:])
    return float(psnr(image.reshape(size), truth.to(image).reshape(size)).mean())
