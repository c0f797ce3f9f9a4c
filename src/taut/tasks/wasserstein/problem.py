"""The two distributions of a run: as they were written, as they are sampled, and what is known about them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from taut.data import distributions
from taut.data.distributions import Distribution, Empirical, Mixture
from taut.errors import UsageError
from taut.tasks.wasserstein.config import Config
from taut.training.seeding import stream

_FINGERPRINT_SAMPLES = 64
_DIGITS = 1e-3
"""Largest share of the samples' range that float32, in which they are drawn, may round away."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is trained on, what is held out, and what is known."""

    p: Distribution
    q: Distribution
    training: tuple[Distribution, Distribution]
    held_out: tuple[Tensor, Tensor]
    """Samples that training never sees."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.p.shape

    def fingerprint(self) -> str:
        """Of the held-out samples and of the first training samples: other distributions have another."""
        digest = hashlib.sha256()
        drawn = [side.sample(_count(side, _FINGERPRINT_SAMPLES), stream(0, "fingerprint")) for side in self.training]
        for tensor in (*self.held_out, *drawn):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def read_problem(config: Config) -> Problem:
    """Both distributions, checked against each other and against what the run asks of them.

    Raises:
        UsageError: They cannot be meant, or do not fit each other or the batch size.
        UserError: Data missing or damaged.
    """
    chosen = config.distributions
    p = read_distribution(chosen.p, data_root=chosen.data_root)
    q = read_distribution(chosen.q, data_root=chosen.data_root)
    if p.shape != q.shape:
        raise UsageError(f"p and q must have samples of the same shape, got {p.shape} and {q.shape}")
    _check_sources(p, q)
    parts = [side.parts() for side in (p, q)]
    count = min(_count(tested, config.evaluation.samples) for _, tested in parts)
    held_out = []
    for name, (training, tested) in zip("pq", parts, strict=True):
        if training.size is not None and chosen.batch_size > training.size:
            raise UsageError(
                f"batch-size {chosen.batch_size} is larger than the {training.size} samples of {name} for training"
            )
        if tested.size is not None and tested.size < 2:
            raise UsageError(f"{name} must have at least 2 held-out samples, it has {tested.size}")
        held_out.append(tested.sample(count, stream("held-out", name)))  # the same for every seed
    _check_digits(*held_out)
    return Problem(p=p, q=q, training=(parts[0][0], parts[1][0]), held_out=(held_out[0], held_out[1]))


def _check_digits(p: Tensor, q: Tensor) -> None:
    """UsageError where the samples are so far from 0 that their distances are those of float32 numbers."""
    both = torch.cat([p, q])
    span = float((both - both[0]).abs().max())
    rounded = torch.finfo(torch.float32).eps * float(both.abs().max())
    if span and rounded > _DIGITS * span:
        raise UsageError(
            f"p and q are {span:.2g} wide and {float(both.abs().max()):.2g} from 0, where float32 numbers are "
            f"{rounded:.2g} apart: subtract one and the same offset from both"
        )


def _check_sources(*laws: Distribution) -> None:
    """UsageError where a data set is named as a whole and by a split: they are divided differently, so that samples
    would be trained on by one name and held out by the other."""
    found = {source for law in laws for source in _sources(law)}
    for name, split in sorted((name, split) for name, split in found if split and (name, None) in found):
        raise UsageError(
            f"{name} and {name}(split={split!r}) in one run would train on samples that are held out; "
            f"write {name} each time, or {name}(split='train') and {name}(split='test')"
        )


def _sources(law: Distribution) -> set[tuple[str, str | None]]:
    if isinstance(law, Mixture):
        return {source for component in law.components for source in _sources(component)}
    return {law.source} if isinstance(law, Empirical) and law.source else set()


def read_distribution(text: str, *, data_root: Path | None) -> Distribution:
    """The distribution that `text` describes: the folder of a GAN run, or what `taut.data.distributions` knows."""
    folder = Path(text)
    if (folder / "config.json").is_file():
        from taut.tasks.gan import load_generator

        return load_generator(folder)
    return distributions.parse(text, data_root)


def _count(distribution: Distribution, most: int) -> int:
    return most if distribution.size is None else min(most, distribution.size)


def pooled_mean(problem: Problem) -> Tensor:
    """Mean of all held-out samples of both distributions."""
    return torch.cat(problem.held_out).double().mean(dim=0)
