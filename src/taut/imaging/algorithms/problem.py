r"""What the iterations have in common: the data fit |A x - y|^2 / 2, where they start, and what they refuse."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taut.imaging.algorithms.course import l2
from taut.imaging.conditions import default_step
from taut.imaging.denoiser import ProvenDenoiser
from taut.imaging.operators import LinearOperator


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
        """argmin |x - v|^2 / 2 + step |A x - y|^2 / 2."""
        return self.operator.solve(v + step * self.operator.adjoint(self.y), step=step).image

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
