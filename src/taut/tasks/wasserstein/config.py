"""Everything that can be chosen about the estimate of a Wasserstein distance; field docstrings are the help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from taut import models
from taut.errors import require
from taut.tasks.critic import CriticConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

if TYPE_CHECKING:
    BesideName = str
else:
    BesideName = Literal[("none", *models.critic_activations())]


@dataclass(frozen=True, kw_only=True)
class DistributionsConfig:
    """Between what the distance is estimated."""

    p: str = "shells([[0.0]], radius=1)"
    """First distribution: points(..), shells(..), gaussian(..), mixture(..), cube(..), a data set such as mnist or
    mnist(split='test'), samples in a file (.npy, .npz, .safetensors), MODULE:NAME of your own sampler, or the folder of
    a GAN run."""
    q: str = "points([[0.0]])"
    """Second distribution, as --p."""
    data_root: Path | None = None
    """Folder of the data files, for data sets that are read from files; TAUT_DATA_ROOT when absent."""
    batch_size: int = 256
    """Samples of each distribution per update, over all processes together."""
    steps_per_epoch: int = 100
    """Updates between two looks at the held-out samples; an epoch of the schedule has so many."""

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, f"batch-size must be at least 1, got {self.batch_size}")
        require(self.steps_per_epoch >= 1, f"steps-per-epoch must be at least 1, got {self.steps_per_epoch}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured on held-out samples."""

    samples: int = 10_000
    """Held-out samples of each distribution; as many as the smaller one has where there are fewer."""
    confidence: float = 0.95
    """Confidence of the interval and of each one-sided end."""
    transport_samples: int = 2000
    """Samples of each distribution between which exact transport is computed, the upper end; 0 computes none. Its cost
    grows with the third power."""
    beside: BesideName = "none"
    """Train a second critic beside the first, with this activation and all else the same, to compare with."""

    def __post_init__(self) -> None:
        require(self.samples >= 2, f"samples must be at least 2, got {self.samples}")
        require(0.5 < self.confidence < 1, f"confidence must be in (0.5, 1), got {self.confidence:g}")
        require(
            self.transport_samples == 0 or self.transport_samples >= 2,
            f"transport-samples must be 0 or at least 2, got {self.transport_samples}",
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Estimate the Wasserstein-1 distance between two distributions: from below by a critic with a proven constant,
    from above by exact transport between samples."""

    task: ClassVar[str] = "wasserstein"

    seed: int = 0
    """Seed of the initial weights and of the samples trained on; those held out are the same for every seed."""
    distributions: DistributionsConfig = field(default_factory=DistributionsConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
