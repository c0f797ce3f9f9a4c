"""Labelled pictures that stay in their files until they are asked for, one at a time and in any order."""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor


class PictureSource(ABC):
    """One split: encoded pictures of any sizes, with labels that are known from the start."""

    labels: Int64[Tensor, " pictures"]
    """Class of each picture."""
    fingerprint: str
    """SHA-256, in hex, of names, sizes in bytes and labels of all pictures: of what a run may rely on without reading
    hundreds of gigabytes."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def encoded(self, index: int) -> tuple[bytes | Path, str]:
        """The bytes of picture `index`, or the path of its file, and what errors call it. UserError where it cannot be
        read."""

    def order(self, generator: torch.Generator) -> Int64[Tensor, " pictures"]:
        """A permutation of all pictures for one epoch, random as far as the files can be read that way."""
        return torch.randperm(len(self), generator=generator)
