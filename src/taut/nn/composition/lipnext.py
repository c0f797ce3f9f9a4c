"""Mixing of space by shifts and of channels by orthogonal matrices."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import fx, nn

from taut.nn._parametrized import checked_sizes
from taut.nn.composition._plain_block import plain_block
from taut.nn.composition.constrained import is_constrained
from taut.nn.dense.bjorck import BjorckLinear


class LipNeXtBlock(nn.Module):
    r"""Q x + b, circular shifts of some channels by one pixel, |.| on some, Q' y + b': 1-Lipschitz (l2), orthogonal.

    Q and Q' are orthogonal matrices over the channels, polar factors by default. Between them the channels are in five
    groups: one stays, the others move up, down, left and right around the image; then some take the absolute value.
    Every step keeps distances or folds, so that the Jacobian is orthogonal wherever it exists.

    Shapes: (batch, channels, h, w) -> the same.
    Args: shifted, the fraction of channels that move, in four equal groups; folded, the fraction that takes the
    absolute value; linear, what makes Q and Q', a linear layer that is 1-Lipschitz, such as `ManifoldLinear`.
    Errors: ValueError for channels below 1, fractions outside [0, 1], a layer without a constraint.
    Source: Hu, Hu and Fredrikson (2026).

    >>> import torch
    >>> LipNeXtBlock(8)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 8, 4, 4])
    """

    constrained: ClassVar[bool] = True

    def __init__(
        self,
        channels: int,
        *,
        shifted: float = 0.5,
        folded: float = 0.5,
        bias: bool = True,
        linear: Callable[..., nn.Module] = BjorckLinear,
    ) -> None:
        super().__init__()
        checked_sizes(channels, channels)
        for name, fraction in (("shifted", shifted), ("folded", folded)):
            if not 0 <= fraction <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {fraction!r}")
        self.channels, self.shifted, self.folded = channels, shifted, folded
        self.before = linear(channels, channels, bias=bias)
        self.after = linear(channels, channels, bias=bias)
        if not (is_constrained(self.before) and is_constrained(self.after)):
            raise ValueError(f"linear must make 1-Lipschitz layers, got {type(self.before).__name__}")

    @property
    def groups(self) -> tuple[int, ...]:
        """Channels that move up, down, left and right, and that stay."""
        moving = int(self.shifted * self.channels / 4)
        return (moving,) * 4 + (self.channels - 4 * moving,)

    def forward(self, x: Any) -> Any:  # a tensor, or a proxy while being traced
        return _mixed(x, self.before, self.after, **self._options())

    def extra_repr(self) -> str:
        return f"{self.channels}, shifted={self.shifted}, folded={self.folded}"

    def fold(self) -> fx.GraphModule:
        """The same function in torch alone."""
        return plain_block("LipNeXtBlock", _mixed, {"before": self.before, "after": self.after}, **self._options())

    def _options(self) -> dict[str, Any]:
        taken = int(self.folded * self.channels)
        return {"groups": self.groups, "folds": (taken, self.channels - taken)}


def _mixed(x: Any, before: Any, after: Any, *, groups: tuple[int, ...], folds: tuple[int, int]) -> Any:
    mixed = before(x.movedim(1, -1)).movedim(-1, 1)
    pieces = mixed.split(groups, 1)
    up, down = pieces[0].roll(-1, 2), pieces[1].roll(1, 2)
    left, right = pieces[2].roll(-1, 3), pieces[3].roll(1, 3)
    moved = torch.cat((up, down, left, right, pieces[4]), 1)
    taken = moved.split(folds, 1)
    return after(torch.cat((taken[0].abs(), taken[1]), 1).movedim(1, -1)).movedim(-1, 1)
