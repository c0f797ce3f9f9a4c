r"""What the iterations have in common: the data fit |A x - y|^2 / 2, where they start, and what they refuse."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taut.imaging.algorithms.course import l2
from taut.imaging.conditions import default_step
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator

_SOLVED = 1e-2
"""Share of the picture to which a proximal operator must be known at least."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Find x with A x near y, given a denoiser."""

    operator: LinearOperator
    y: Tensor
    denoiser: ProvenDenoiser
    sigma: float | None

    def gradient(self, x: Tensor) -> Tensor:
        """A^T (A x - y)."""
        return self.operator.adjoint(self.operator(x) - self.y)

    def proximal(self, v: Tensor, step: float) -> Tensor:
        """argmin |x - v|^2 / 2 + step |A x - y|^2 / 2. ValueError where conjugate gradients do not come near it."""
        found = self.operator.solve(v + step * self.operator.adjoint(self.y), step=step)
        if _SOLVED * l2((found.image,)) < found.error_bound < math.inf:
            raise ValueError(
                f"conjugate gradients in {v.dtype} do not solve for a step of {step:.6g}, which is "
                f"{step * self.operator.norm_bound**2:.3g} / ||A||^2: take a smaller one, or float64"
            )
        return found.image

    @property
    def precision(self) -> torch.dtype:
        """The coarser one of the measurement's and of the denoiser's numbers."""
        inside = self.denoiser.parameters() if isinstance(self.denoiser, nn.Module) else ()
        kinds = [self.y.dtype, *(p.dtype for p in inside if p.is_floating_point())]
        return max(kinds, key=lambda kind: torch.finfo(kind).eps)

    def denoise(self, x: Tensor) -> Tensor:
        """D(x)."""
        return self.denoiser(x, self.sigma)

    def data_fit(self, x: Tensor) -> float:
        """|A x - y|."""
        return l2((self.operator(x) - self.y,))

    def start(self, given: Tensor | None) -> Tensor:
        """The picture that was given, or A^T y / ||A||^2."""
        back = self.operator.adjoint(self.y)
        if given is None:
            return back * default_step(self.operator)
        if given.shape != back.shape:
            raise ValueError(f"start must have the shape {tuple(back.shape)}, got {tuple(given.shape)}")
        return given.to(back)


def problem(operator: LinearOperator, y: Tensor, denoiser: ProvenDenoiser, sigma: float | None) -> Problem:
    """The problem. ValueError for measurements that are not finite."""
    if not bool(torch.isfinite(y).all()):
        raise ValueError("the measurement must be finite, got NaN or infinity")
    return Problem(operator=operator, y=y, denoiser=denoiser, sigma=sigma)
