"""Lists, arrays and tensors that a person gives, as finite float64 tensors; what is wrong is one sentence."""

import math
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

Numbers: TypeAlias = Any
"""A number, nested lists of numbers, a numpy array or a tensor."""


def tensor_of(value: Numbers, name: str) -> Float64[Tensor, "..."]:
    """The numbers `value`, called `name` in errors, as a new float64 tensor on the CPU.

    Raises:
        ValueError: Not numbers, rows of unequal length, nothing at all, or a number that float32 cannot hold.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be numbers in rows of equal length, got {shown(value)}") from error
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number, got {shown(value)}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers, got {shown(value)}")
    tensor = torch.from_numpy(array.astype(np.float64))
    if not bool(torch.isfinite(tensor.float()).all()):
        raise ValueError(f"{name} must be finite in float32, got {shown(value)}")
    return tensor


def positive(value: Numbers, name: str) -> float:
    """One finite number above 0. Raises ValueError for anything else."""
    number = tensor_of(value, name)
    if number.ndim or float(number) <= 0.0:
        raise ValueError(f"{name} must be one number above 0, got {shown(value)}")
    return float(number)


def weights_of(value: Numbers | None, count: int, what: str) -> Float64[Tensor, " count"]:
    """`count` weights that sum to 1, in proportion to `value`; equal ones for None. Raises ValueError."""
    if value is None:
        return torch.full((count,), 1.0 / count, dtype=torch.float64)
    weights = tensor_of(value, "weights")
    if tuple(weights.shape) != (count,):
        raise ValueError(f"weights must be {count} numbers, one for each of the {what}, got {shown(value)}")
    if float(weights.min()) < 0.0 or float(weights.sum()) <= 0.0:
        raise ValueError(f"weights must be at least 0, and one of them above 0, got {shown(value)}")
    return weights / weights.sum()


def shown(value: Any) -> str:
    """`value` as it was written, cut after 60 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(tensor: Tensor) -> str:
    """A tensor of numbers for a description: one number, or (a, b, c), cut after four."""
    values = tensor.flatten().tolist()
    if len(values) == 1:
        return f"{values[0]:g}"
    return f"({', '.join(f'{value:g}' for value in values[:4])}{', ...' if len(values) > 4 else ''})"


def sized(shape: tuple[int, ...]) -> str:
    """A shape for a description: "in 2 dimensions", or "of shape 1 x 28 x 28"."""
    if len(shape) > 1:
        return f"of shape {' x '.join(map(str, shape))}"
    entries = math.prod(shape)
    return f"in {entries} dimension{'s' if entries > 1 else ''}"
