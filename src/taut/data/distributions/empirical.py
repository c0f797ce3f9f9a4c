"""Samples that someone has: an array, a file, a named data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from taut.data.arrays import read_array
from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.numbers import Numbers, sized, tensor_of
from taut.errors import UsageError, UserError

_SPLIT_SEED = 0


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Empirical(Distribution):
    """Finitely many samples, drawn without replacement within a call; training and held-out part are disjoint.

    Args:
        samples: One sample a row; a row of plain numbers is as many samples in one dimension.
        held_out: Share of the samples that `parts` holds out, chosen at random but always alike; above 0 and below 1.
        test: Samples that are held out for good: `parts` is then `samples` and `test`, and `held_out` is not used.
        name: What the samples are, for descriptions.
        source: The data set that they are of, and which split of it; None is all of it.

    Raises:
        ValueError: No samples, samples that are not finite numbers, of different shapes, a share that is none.

    Example:
        >>> data = Empirical([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]], held_out=0.25)
        >>> data.size, [part.size for part in data.parts()]
        (4, [3, 1])
    """

    samples: Float32[Tensor, "samples *shape"]
    """One sample a row."""
    held_out: float
    """Share that `parts` holds out, unless there is `test`."""
    test: Float32[Tensor, "test *shape"] | None
    """Samples that are held out for good."""
    name: str
    """What the samples are."""
    source: tuple[str, str | None] | None
    """The data set that they are of, and which split of it."""

    def __init__(
        self,
        samples: Numbers,
        *,
        held_out: float = 0.5,
        test: Numbers | None = None,
        name: str = "samples",
        source: tuple[str, str | None] | None = None,
    ) -> None:
        rows = _rows(samples, name)
        others = None if test is None else _rows(test, f"held-out {name}")
        if others is not None and others.shape[1:] != rows.shape[1:]:
            raise ValueError(f"{name} have shape {tuple(rows.shape[1:])}, those held out {tuple(others.shape[1:])}")
        if not isinstance(held_out, float) or not 0.0 < held_out < 1.0:
            raise ValueError(f"held_out must be a share above 0 and below 1, got {held_out!r}")
        object.__setattr__(self, "samples", rows)
        object.__setattr__(self, "held_out", held_out)
        object.__setattr__(self, "test", others)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "source", source)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.samples.shape[1:])

    @property
    def size(self) -> int:
        return len(self.samples) + (0 if self.test is None else len(self.test))

    @property
    def description(self) -> str:
        return f"{self.size} {self.name} {sized(self.shape)}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        if count > self.size:
            raise UserError(f"{count} samples were asked for, but there are only {self.description}")
        chosen = torch.randperm(self.size, generator=generator)[:count]
        if self.test is None:
            return self.samples[chosen]
        drawn = torch.empty(count, *self.shape)
        first = chosen < len(self.samples)
        drawn[first] = self.samples[chosen[first]]
        drawn[~first] = self.test[chosen[~first] - len(self.samples)]
        return drawn

    def parts(self) -> "tuple[Empirical, Empirical]":
        """Training and held-out samples. Raises UserError where there are too few to divide."""
        names = f"training {self.name}", f"held-out {self.name}"
        if self.test is not None:
            return Empirical(self.samples, name=names[0]), Empirical(self.test, name=names[1])
        kept = round(self.size * (1.0 - self.held_out))
        if not 0 < kept < self.size:
            raise UserError(f"{self.description} cannot be divided into a training and a held-out part")
        order = torch.randperm(self.size, generator=torch.Generator().manual_seed(_SPLIT_SEED))
        seen, unseen = self.samples[order[:kept].sort().values], self.samples[order[kept:].sort().values]
        return Empirical(seen, name=names[0]), Empirical(unseen, name=names[1])


def named(name: str, data_root: Path | None = None, *, split: str | None = None) -> Empirical:
    """The inputs of the named data set, with its own training and held-out split; or "train" or "test" alone.

    Raises:
        UsageError: Unknown name or split.
        UserError: Files that are missing or damaged.

    Example:
        >>> named("digits", split="test").description
        '450 test samples of digits of shape 1 x 8 x 8'
    """
    from taut.data import load  # taut.data exports what is here

    if split not in (None, "train", "test"):
        raise UsageError(f"split must be 'train' or 'test', got {split!r}")
    dataset = load(name, data_root)
    if split is None:
        whole = dataset.train.inputs, dataset.test.inputs
        return Empirical(whole[0], test=whole[1], name=f"samples of {name}", source=(name, None))
    return Empirical(getattr(dataset, split).inputs, name=f"{split} samples of {name}", source=(name, split))


def from_file(path: Path, *, key: str | None = None) -> Empirical:
    """The samples in a .npy, .npz or .safetensors file, one a row; of several arrays, the one called `key`.

    Raises UserError, which names the file, for what cannot be read or is no table of finite numbers.
    """
    array = read_array(path, key=key)
    try:
        return Empirical(array, name=f"samples of {path.name}{f':{key}' if key else ''}")
    except ValueError as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def _rows(samples: Numbers, name: str) -> Tensor:
    rows = _float32(samples, name)
    if not rows.ndim or not rows.numel():
        raise ValueError(f"{name} must be one sample a row, got shape {tuple(rows.shape)}")
    rows = rows[:, None] if rows.ndim == 1 else rows
    finite = torch.isfinite(rows).flatten(1).all(dim=1)
    if not bool(finite.all()):
        raise ValueError(f"{name} must be finite, but sample {int((~finite).nonzero()[0])} (counted from 0) is not")
    return rows


def _float32(samples: Numbers, name: str) -> Tensor:
    """Arrays and tensors make no detour by float64: they may be whole data sets."""
    if isinstance(samples, np.ndarray):
        if samples.dtype.kind not in "fiu":
            raise ValueError(f"{name} must be numbers, got an array of {samples.dtype}")
        return torch.from_numpy(samples.astype(np.float32))
    if isinstance(samples, Tensor):
        if samples.is_complex() or samples.dtype == torch.bool:
            raise ValueError(f"{name} must be numbers, got a tensor of {samples.dtype}")
        return samples.detach().cpu().float()
    return tensor_of(samples, name).float()
