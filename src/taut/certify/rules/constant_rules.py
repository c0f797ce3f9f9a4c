"""The constant of a module without weights: of its slope, or of its windows at the size of its input."""

from torch import nn

from taut.certify.breakdown import Norm
from taut.certify.rules.sized_rules import sized_constant
from taut.nn import constant

_SLOPES: dict[type[nn.Module], float] = {
    nn.Hardswish: 1.5,  # (2 x + 3) / 6 at 3
    nn.Hardsigmoid: 0.166667,  # 1/6, of which torch has a float32 number
    nn.SELU: 1.7581,  # scale * alpha = 1.75809...
    nn.Tanhshrink: 1.0,
}
"""Entry-by-entry functions and their largest slope, the same in l2 and linf."""


def module_constant(module: nn.Module, norm: Norm, input_shape: tuple[int, ...] | None = None) -> float | None:
    """Lipschitz constant in `norm`, for inputs of this shape (with the batch) where it is known; None where there is
    no rule.

    >>> module_constant(nn.AdaptiveAvgPool1d(2), "linf"), module_constant(nn.AdaptiveAvgPool1d(2), "l2", (1, 3, 8))
    (1.0, 0.5)
    """
    sized = sized_constant(module, norm, input_shape)
    if sized is not None:
        return sized
    found = constant(module, norm)
    return _SLOPES.get(type(module)) if found is None else found
