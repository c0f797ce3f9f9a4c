"""What is learned, with its held-out samples, and the untrained network."""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taut.data.distributions import Distribution, parse
from taut.errors import UsageError, UserError
from taut.models import InvertibleNetwork
from taut.tasks.invertible.config import Config, NetworkConfig
from taut.training.seeding import stream

_STANDARDISED_BY = 10_000
_FINGERPRINT_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The target; `held_out` and `others` are disjoint, of equal number, and never trained on."""

    target: Distribution
    training: Distribution
    held_out: Tensor
    others: Tensor

    @property
    def features(self) -> int:
        """Entries of one sample."""
        return math.prod(self.target.shape)

    def fingerprint(self) -> str:
        """Of the held-out samples and of the first training samples: another target has another."""
        digest = hashlib.sha256()
        drawn = self.training.sample(_count(self.training, _FINGERPRINT_SAMPLES), stream(0, "fingerprint"))
        for tensor in (self.held_out, drawn):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()

    def standardising(self, seed: int) -> Tensor:
        """Training samples, one a row, whose mean and deviation the first layer takes."""
        count = _count(self.training, _STANDARDISED_BY)
        return self.training.sample(count, stream(seed, "standardise")).flatten(1)


def read_problem(config: Config) -> Problem:
    """The target, checked against what the run asks of it.

    Raises:
        UsageError: It cannot be meant, or has too few samples.
        UserError: Data missing or damaged, a sampler that fails.
    """
    target = parse(config.target.target, config.target.data_root)
    training, tested = target.parts()
    if training.size is not None and config.target.batch_size > training.size:
        raise UsageError(
            f"batch-size {config.target.batch_size} is larger than the {training.size} samples for training"
        )
    count = _count(tested, 2 * config.evaluation.samples) // 2
    if count < 2:
        raise UsageError(f"the target must have at least 4 held-out samples, it has {tested.size}")
    drawn = tested.sample(2 * count, stream("held-out", "target"))  # the same for every seed
    return Problem(target=target, training=training, held_out=drawn[:count], others=drawn[count:])


def build_network(config: NetworkConfig, features: int) -> InvertibleNetwork:
    """The network that `config` describes. Raises UsageError for sizes that no such network has."""
    try:
        return InvertibleNetwork(
            features,
            blocks=config.blocks,
            width=config.width,
            depth=config.depth,
            linear=config.linear,
            activation=config.activation,
            group_size=config.group_size,
            lipschitz=config.lipschitz,
        )
    except (ValueError, TypeError) as error:
        raise UsageError(f"cannot build the network: {' '.join(str(error).split())}") from error


def transported(x: Tensor, y: Tensor) -> float:
    """W1 between two samples. UserError where POT is missing or finds no optimum."""
    from taut.transport import exact_transport

    try:
        return exact_transport(x, y).value
    except (ImportError, RuntimeError, ValueError) as error:
        raise UserError(f"{error} (--transport-samples 0 leaves exact transport out)") from error


def normal(count: int, features: int, *parts: int | str) -> Tensor:
    """Standard normal latents that follow from `parts` alone, in float32."""
    return torch.randn(count, features, generator=stream(*parts, "latents"))


def _count(distribution: Distribution, most: int) -> int:
    return most if distribution.size is None else min(most, distribution.size)
