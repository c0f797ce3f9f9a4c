r"""The N-activation: slopes 1, -1 and 1, with two learned thresholds for each channel."""

from typing import Literal, get_args

import torch
from torch import Tensor, fx, nn

from taut.functional import n_activation
from taut.functional._precision import at_least_float32
from taut.functional.n_activation import n_activation_formula
from taut.nn.activation._learned import check_width, checked_channels, checked_init, constant_or_nan, parameter
from taut.nn.conversion._plain import plain_with_parameters

Init = Literal["alternate", "identity", "random"]


class NActivation(nn.Module):
    r"""x - 2a below a, -x between, x - 2b above b: 1-Lipschitz (l2 and linf), gradient-norm preserving.

    a <= b are the smaller and the larger of two free thresholds of the channel.

    Shapes: (batch, channels, *) -> the same.

    Args:
        channels: Size of dimension 1.
        init: "alternate" starts channels in turn as |x| above -1 (thresholds -1 and 0) and as the identity (0 and 0);
            "identity" all as the latter; "random" at -10^u and 10^u, each u uniform in [-5, 0].

    Errors: ValueError for channels that are no positive integer, an unknown init, another number of channels in x.
    Source: Prach and Lampert (2024).

    >>> import torch
    >>> NActivation(2)(torch.tensor([[-0.5, -0.5]]))
    tensor([[ 0.5000, -0.5000]], grad_fn=<PermuteBackward0>)
    """

    def __init__(
        self,
        channels: int,
        *,
        init: Init = "alternate",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.channels = checked_channels(channels)
        start = torch.zeros(2, channels)
        if checked_init(init, get_args(Init)) == "alternate":
            start[0, ::2] = -1.0
        elif init == "random":
            start = torch.tensor([[-1.0], [1.0]]) * 10.0 ** (-5.0 * torch.rand(2, channels))
        self.thresholds = parameter(start, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        check_width(x, self.channels)
        low, high = self._ordered()
        return n_activation(at_least_float32(x), low, high).to(x.dtype)

    def _ordered(self) -> tuple[Tensor, Tensor]:
        first, second = at_least_float32(self.thresholds)
        return torch.minimum(first, second), torch.maximum(first, second)

    def threshold_parameters(self) -> list[nn.Parameter]:
        """For an optimizer group of their own: they are in the units of x."""
        return [self.thresholds]

    def extra_repr(self) -> str:
        return f"channels={self.channels}"

    def lipschitz_constant(self, norm: str) -> float:
        """1 in every norm, for any finite thresholds: slopes are -1 and 1."""
        del norm
        return constant_or_nan(self, 1.0)

    def fold(self) -> fx.GraphModule:
        """The same function in torch alone, with the ordered thresholds."""
        low, high = (value.to(self.thresholds.dtype) for value in self._ordered())
        return plain_n_activation(low, high)


def plain_n_activation(low: Tensor, high: Tensor) -> fx.GraphModule:
    """The graph that `NActivation.fold` makes."""
    return plain_with_parameters("NActivation", n_activation_formula, {"low": low, "high": high}, channels=len(low))
