"""A labelled data set held in memory: two splits, their class names and the shape of one input."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from taut.errors import UserError

_ROWS = 1000
"""Samples that are in memory as float32 at once, where all of them need not be."""


@final
class Split:
    """Inputs in [0, 1] and class labels, both on the CPU, sample i of one belonging to sample i of the other.

    Pictures of eight bits stay bytes, in a quarter of the memory of the float32 inputs that they stand for.

    Example:
        >>> split = Split(inputs=torch.tensor([[51]], dtype=torch.uint8), labels=torch.tensor([3]))
        >>> split.inputs, split.stored
        (tensor([[0.2000]]), tensor([[51]], dtype=torch.uint8))
    """

    def __init__(
        self,
        *,
        inputs: Float32[Tensor, "samples *shape"] | UInt8[Tensor, "samples *shape"],
        labels: Int64[Tensor, " samples"],
    ) -> None:
        """`inputs` are one input per row, pictures as (channels, height, width): float32, or bytes b for b / 255."""
        self.stored = inputs
        """As they were given. Work on many samples takes rows of these and `as_inputs` of the rows."""
        self.labels = labels
        """Class index of each input."""

    @cached_property
    def inputs(self) -> Float32[Tensor, "samples *shape"]:
        """All inputs as float32: of bytes, made when they are first asked for, and kept."""
        return as_inputs(self.stored)

    def __len__(self) -> int:
        return len(self.labels)


def as_inputs(
    stored: Float[Tensor, "*shape"] | UInt8[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Bytes b as the float32 nearest to b / 255, the same numbers on every device; floats as they are.

    Example:
        >>> as_inputs(torch.tensor([0, 51, 255], dtype=torch.uint8))
        tensor([0.0000, 0.2000, 1.0000])
    """
    if stored.dtype != torch.uint8:
        return stored
    # By a number on the device: a plain 255 is multiplied with by its inverse on GPUs, which rounds differently.
    return stored.to(torch.float32).div_(torch.full((), 255.0, device=stored.device))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a network must know of a data set to be built."""

    shape: tuple[int, ...]
    """Shape of one input."""
    classes: tuple[str, ...]
    """Class names; label i is classes[i]."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A training split and a held-out split of the same classification problem."""

    train: Split
    """What the network is fitted to."""
    test: Split
    """Held out: never seen in training, the subject of every reported number."""
    name: str
    """Name under which `taut.data.load` knows it."""
    problem: Problem
    """Shape of one input, and the classes."""

    def __post_init__(self) -> None:
        check_split(self.train, f"the training split of {self.name}", len(self.problem.classes))
        check_split(self.test, f"the held-out split of {self.name}", len(self.problem.classes))


def check_split(split: Split, source: str, classes: int) -> None:
    """Raise UserError, naming `source`, unless inputs are finite and in [0, 1] and labels are class indices.

    Example:
        >>> import torch
        >>> check_split(Split(inputs=torch.rand(2, 1, 8, 8), labels=torch.tensor([0, 9])), "mine", classes=10)
    """
    inputs, labels = split.stored, split.labels
    if len(inputs) != len(labels):
        raise UserError(f"{source} has {len(inputs)} inputs but {len(labels)} labels")
    if len(labels) == 0:
        raise UserError(f"{source} is empty")
    if inputs.dtype != torch.uint8:
        _check_range(inputs, source)
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise UserError(f"{source} has labels {int(labels.min())}..{int(labels.max())}, allowed are 0..{classes - 1}")


def _check_range(inputs: Tensor, source: str) -> None:
    low, high = float(inputs.min()), float(inputs.max())
    if not math.isfinite(low) or not math.isfinite(high):  # the extremes show NaN too, without a copy of the data
        first = int((~torch.isfinite(inputs)).flatten(1).any(dim=1).nonzero()[0])
        raise UserError(f"{source} holds a value that is not finite, first in sample {first}")
    if low < 0 or high > 1:
        raise UserError(f"{source} must lie in [0, 1], but its values span [{low:g}, {high:g}]")


def fingerprint(split: Split) -> str:
    """SHA-256, in hex, of inputs, as float32, and labels of `split`: equal exactly when the data are equal.

    Example:
        >>> import torch
        >>> split = Split(inputs=torch.zeros(2, 3), labels=torch.zeros(2, dtype=torch.int64))
        >>> fingerprint(split) == fingerprint(split)
        True
    """
    digest = hashlib.sha256(repr(tuple(split.stored.shape)).encode())
    for part in split.stored.split(_ROWS):
        digest.update(as_inputs(part).contiguous().numpy().data)
    digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()
