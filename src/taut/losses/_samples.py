"""What losses of input gradients ask of a function: one number for each sample, which depends on that sample alone."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from taut.functional.batch_statistics import keeps_statistics

_OF_EACH = nn.modules.instancenorm._InstanceNorm
"""Has running statistics, but each sample is normalised by its own."""


def one_each(values: Tensor, inputs: Tensor) -> Tensor:
    """`values` as (n,). ValueError unless they are one number for each of n >= 1 inputs."""
    if not len(inputs) or values.numel() != len(inputs):
        raise ValueError(
            "the function must give one number for each sample, and there must be one sample or more, "
            f"got {tuple(values.shape)} for {len(inputs)} samples"
        )
    return values.flatten()


def refuse_batch_norm(function: Callable[[Tensor], Tensor]) -> None:
    """ValueError for a module with a layer in training mode that takes statistics of the batch."""
    for name, module in function.named_modules() if isinstance(function, nn.Module) else ():
        counts = keeps_statistics(module) and not isinstance(module, _OF_EACH)
        if module.training and (counts or isinstance(module, nn.modules.batchnorm._BatchNorm)):
            raise ValueError(
                f"layer {name} ({type(module).__name__}) mixes samples, so they have no gradients of their own"
            )


def input_gradient_of(value: Tensor, points: Tensor, *, create_graph: bool, keep: bool = False) -> Tensor:
    """Gradient of each sample's value. ValueError where there is none, which would else be taken for 0."""
    found = None
    if value.requires_grad:
        found = torch.autograd.grad(
            value.sum(), points, create_graph=create_graph, retain_graph=keep or None, allow_unused=True
        )[0]
    if found is None:
        raise ValueError(
            "the function has no gradient with respect to its input: it does not depend on it, or hides it"
        )
    return found


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
