"""A labelled data set held in memory: two splits, their class names and the shape of one input."""

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from taut.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Split:
    """Inputs in [0, 1] (float32) and class labels (int64), both on the CPU, sample i of one belonging to sample i of
    the other."""

    inputs: Float32[Tensor, "samples *shape"]
    """One input per row; pictures are (channels, height, width)."""
    labels: Int64[Tensor, " samples"]
    """Class index of each input."""

    def __len__(self) -> int:
        return len(self.labels)


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
    inputs, labels = split.inputs, split.labels
    if len(inputs) != len(labels):
        raise UserError(f"{source} has {len(inputs)} inputs but {len(labels)} labels")
    if len(labels) == 0:
        raise UserError(f"{source} is empty")
    low, high = float(inputs.min()), float(inputs.max())
    if not math.isfinite(low) or not math.isfinite(high):  # the extremes show NaN too, without a copy of the data
        first = int((~torch.isfinite(inputs)).flatten(1).any(dim=1).nonzero()[0])
        raise UserError(f"{source} holds a value that is not finite, first in sample {first}")
    if low < 0 or high > 1:
        raise UserError(f"{source} must lie in [0, 1], but its values span [{low:g}, {high:g}]")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise UserError(f"{source} has labels {int(labels.min())}..{int(labels.max())}, allowed are 0..{classes - 1}")


def fingerprint(split: Split) -> str:
    """SHA-256, in hex, of the bytes of the inputs and labels of `split`: equal exactly when the data are equal.

    Example:
        >>> import torch
        >>> split = Split(inputs=torch.zeros(2, 3), labels=torch.zeros(2, dtype=torch.int64))
        >>> fingerprint(split) == fingerprint(split)
        True
    """
    digest = hashlib.sha256(repr(tuple(split.inputs.shape)).encode())
    for tensor in (split.inputs, split.labels):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
