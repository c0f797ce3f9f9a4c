"""What losses of input gradients ask of a function: one number for each sample, which depends on that sample alone."""

import math
from collections.abc import Callable

from torch import Tensor, nn


def one_each(values: Tensor, inputs: Tensor) -> Tensor:
    """`values` as (n,). ValueError unless they are one number for each of n >= 1 inputs."""
    if not len(inputs) or values.numel() != len(inputs):
        raise ValueError(
            "the function must give one number for each sample, and there must be one sample or more, "
            f"got {tuple(values.shape)} for {len(inputs)} samples"
        )
    return values.flatten()


def refuse_batch_norm(function: Callable[[Tensor], Tensor]) -> None:
    """ValueError for a module with batch norm in training mode."""
    for name, module in function.named_modules() if isinstance(function, nn.Module) else ():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            raise ValueError(
                f"layer {name} ({type(module).__name__}) mixes samples, so they have no gradients of their own"
            )


def choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """ValueError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def positive(name: str, value: float) -> None:
    """ValueError unless `value` is finite and > 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive finite number, got {value}")


def not_negative(name: str, value: float) -> None:
    """ValueError unless `value` is finite and >= 0."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number >= 0, got {value}")
