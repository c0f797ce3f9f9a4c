r"""A residual block that can be undone: x + L g(x) with L < 1."""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from taut.functional import FixedPoint, attach_gradient, solve_contraction
from taut.nn.composition._plain_block import plain_block, refuse_other_shape
from taut.nn.composition.constrained import refuse_branch


class InvertibleResidual(nn.Module):
    r"""x + L g(x) with g 1-Lipschitz and 0 < L < 1: (1 + L)-Lipschitz (l2), with a 1/(1 - L)-Lipschitz `inverse`.

    So it is not 1-Lipschitz: chain it in torch.nn.Sequential, or follow it with `Scale(1 / (1 + L))`.

    Shapes: any that g keeps. Args: `lipschitz` is L.
    Errors: TypeError for a branch without a constraint; ValueError unless 0 < lipschitz < 1, and when the branch
    changes the shape. Source: Behrmann et al. (2019).

    >>> import torch
    >>> from taut import nn as tnn
    >>> block = InvertibleResidual(tnn.Sequential(tnn.BjorckLinear(4, 4), tnn.MaxMin()), lipschitz=0.5)
    >>> x = torch.randn(3, 4)
    >>> bool((block.inverse(block(x)) - x).norm(dim=1).max() < 1e-4)
    True
    """

    def __init__(self, branch: nn.Module, *, lipschitz: float = 0.9) -> None:
        super().__init__()
        refuse_branch("branch", branch)
        if not 0 < lipschitz < 1:
            raise ValueError(f"lipschitz must be between 0 and 1, got {lipschitz!r}")
        self.branch = branch
        self.lipschitz = float(lipschitz)

    def forward(self, x: Any) -> Any:  # a tensor, or a proxy while being traced
        y = self.branch(x)
        refuse_other_shape(x, y)
        return x + y * self.lipschitz

    def residual(self, x: Tensor) -> Tensor:
        """L g(x): what the block adds."""
        return self.branch(x) * self.lipschitz

    def inverse(
        self, y: Tensor, *, tolerance: float = 1e-5, max_steps: int = 1000, contraction: float | None = None
    ) -> Tensor:
        r"""The x with x + L g(x) = y, within `tolerance` of it for each sample (l2), by x <- y - L g(x).

        In exact arithmetic `taut.functional.inverse_steps` proves before the iteration how many steps are enough, and
        rounding adds few; the iteration ends sooner where |x + L g(x) - y| / (1 - c) is small enough, as the map is
        expanding by at least 1 - c. This is computed in the precision of `y`: rounding adds some eps |y| / (1 - c).

        c is `contraction`, or L when that is None. For a proof in floating point give L times the proven constant of
        the branch, rounded up: it exceeds 1 by some 1e-6.

        Where gradients are enabled, the result has the exact gradient of the inverse, to a relative `tolerance`, from
        the implicit function theorem; no second one.

        Errors: RuntimeError, with the bound that was reached, when `max_steps` are not enough or rounding stands in
        the way: pass float64.

        >>> import torch
        >>> from taut import nn as tnn
        >>> InvertibleResidual(tnn.Abs(), lipschitz=0.5).inverse(torch.tensor([[3.0, -1.0]])).round(decimals=3)
        tensor([[ 2., -2.]])
        """
        rate = self.lipschitz if contraction is None else contraction
        with parametrize.cached():
            if not torch.is_grad_enabled():
                return self.inversion(y, tolerance=tolerance, max_steps=max_steps, contraction=rate).x
            self.residual(y.detach())  # with gradients, so that weights that are kept for all steps have theirs
            found = self.inversion(y.detach(), tolerance=tolerance, max_steps=max_steps, contraction=rate)
            return attach_gradient(self.residual, y, found.x, contraction=rate, tolerance=tolerance)

    def inversion(
        self,
        y: Tensor,
        *,
        tolerance: float = 1e-5,
        max_steps: int = 1000,
        contraction: float | None = None,
        early: bool = True,
    ) -> FixedPoint:
        """The inverse without gradients, with its steps, the proven number of steps, and its bound of the error.

        With `early` False all of the proven steps are made. Arguments and errors as those of `inverse`.
        """
        return solve_contraction(
            self.residual,
            y,
            contraction=self.lipschitz if contraction is None else contraction,
            tolerance=tolerance,
            max_steps=max_steps,
            early=early,
        )

    def extra_repr(self) -> str:
        return f"lipschitz={self.lipschitz:g}"

    def fold(self) -> fx.GraphModule:
        """The same function in torch alone."""
        return plain_block("InvertibleResidual", _shifted, {"branch": self.branch}, lipschitz=self.lipschitz)


def _shifted(x: Any, branch: Any, *, lipschitz: float) -> Any:
    return x + branch(x) * lipschitz
