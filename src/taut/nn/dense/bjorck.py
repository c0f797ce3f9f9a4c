r"""Linear layer whose weight is the polar factor of a free matrix (Björck and Bowie, 1971)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from taut.functional import bjorck_steps, polar_factor
from taut.functional.polar import PolarMethod
from taut.nn._parametrized import attach, checked_sizes, init_orthogonal, reduce_parametrized


class Bjorck(nn.Module):
    r"""Parametrization V -> polar(V), the nearest orthogonal matrix: all singular values 1 (l2).

    Exact closed-form gradient; any finite V converges, also rank-deficient and zero ones. See
    `taut.functional.polar_factor`. With `steps` it is `taut.functional.bjorck_steps` instead: singular values at most
    1, not all 1.

    >>> import torch
    >>> from torch.nn.utils.parametrize import register_parametrization
    >>> layer = register_parametrization(torch.nn.Linear(4, 3), "weight", Bjorck())
    >>> torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-6)
    True
    """

    def __init__(self, *, method: PolarMethod = "auto", steps: int | None = None) -> None:
        super().__init__()
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"steps must be a positive integer, or None for the polar factor, got {steps!r}")
        if method not in ("auto", "eigh", "newton_schulz"):
            raise ValueError(f"method must be 'auto', 'eigh' or 'newton_schulz', got {method!r}")
        self.method: PolarMethod = method
        self.steps = steps

    def forward(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        if self.steps is not None:
            return bjorck_steps(weight, steps=self.steps)
        return polar_factor(weight, method=self.method)

    def right_inverse(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        return weight


class BjorckLinear(nn.Linear):
    r"""x -> polar(V) x + b: 1-Lipschitz (l2), all singular values 1.

    To 1e-6 in float32 and 1e-14 in float64. Gradient-norm preserving: rows are orthonormal when out_features <=
    in_features, columns otherwise. Starts orthogonal.

    Shapes: (*, in_features) -> (*, out_features).
    With `steps` the weight is V after so many Björck steps, as in `taut.functional.bjorck_steps`: still 1-Lipschitz,
    but singular values below 1 are only on their way to 1. The free weight is the same, so that a network trained with
    few steps can be loaded into one that converges.

    Args: `method` as in `taut.functional.polar_factor`; bias, device, dtype as in torch.nn.Linear.
    Errors: ValueError for sizes below 1, an unknown method, or steps below 1.
    Source: Björck and Bowie (1971); Anil, Lucas and Grosse (2019).

    >>> import torch, taut
    >>> layer = BjorckLinear(8, 4)
    >>> layer(torch.zeros(2, 8)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        method: PolarMethod = "auto",
        steps: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        checked_sizes(in_features, out_features)
        super().__init__(in_features, out_features, bias, device, dtype)
        attach(self, Bjorck(method=method, steps=steps))

    reset_parameters = init_orthogonal
    __reduce_ex__ = reduce_parametrized
