"""Everything that can be chosen about a GAN; the field docstrings are the help of the command line."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from taut import data
from taut.errors import require
from taut.tasks.critic import CriticConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[data.names()]

GanType = Literal["wgan", "wgan-gp", "lwgan"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is imitated."""

    dataset: DatasetName = "mnist"
    """Data set of pictures; 4 divides their sides."""
    data_root: Path | None = None
    """Folder of the data files, for data sets that are read from files; TAUT_DATA_ROOT when absent."""
    batch_size: int = 64
    """Pictures per update of the critic, over all processes together."""

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, f"batch-size must be at least 2, got {self.batch_size}")


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """Generator, and how the critic is kept from growing."""

    gan_type: GanType = "lwgan"
    """wgan: infoGAN discriminator whose weights are clipped; wgan-gp: the same with a gradient penalty; lwgan: a critic
    with a proven Lipschitz constant, chosen by the options of the critic."""
    latent: int = 62
    """Entries of a latent, the generator's input."""
    generator_width: int = 64
    """Width of the infoGAN generator; 64 as published."""
    discriminator_width: int = 64
    """Width of the infoGAN discriminator of wgan and wgan-gp."""
    normalisation: Literal["auto", "none", "layer", "batch"] = "auto"
    """Normalisation in that discriminator: over one picture, or over a batch; auto is batch for wgan, whose clipped
    weights would leave hardly any signal without it, and none for wgan-gp, whose penalty is of single pictures."""
    critic_lr: float | None = None
    """Learning rate of the critic; 2e-3 for lwgan and --lr for the others when absent."""
    n_critic: int = 5
    """Updates of the critic for each update of the generator."""
    clip: float = 0.01
    """Largest weight of the critic of wgan."""
    penalty: float = 10.0
    """Weight of the gradient penalty of wgan-gp."""

    def __post_init__(self) -> None:
        for name in ("latent", "generator_width", "discriminator_width", "n_critic"):
            value = getattr(self, name)
            require(value >= 1, f"{name.replace('_', '-')} must be at least 1, got {value}")
        for name in ("clip", "penalty"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, f"{name} must be a positive number, got {value:g}")
        require(
            self.gan_type != "wgan-gp" or self.normalisation != "batch",
            "normalisation batch mixes pictures, whose gradients wgan-gp penalises one by one: give none or layer",
        )
        rate = self.critic_lr
        require(rate is None or (math.isfinite(rate) and rate > 0), f"critic-lr must be a positive number, got {rate}")

    @property
    def discriminator_normalisation(self) -> str:
        """What --normalisation comes to."""
        if self.normalisation != "auto":
            return self.normalisation
        return "batch" if self.gan_type == "wgan" else "none"

    def critic_rate(self, lr: float) -> float:
        """Peak learning rate of the critic, where the generator's is `lr`."""
        if self.critic_lr is not None:
            return self.critic_lr
        return 2e-3 if self.gan_type == "lwgan" else lr


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is shown while training, and measured at the end."""

    sample_every: int = 1
    """Epochs between two grids of samples."""
    grid: int = 64
    """Pictures of a grid."""
    samples: int = 5000
    """Generated pictures, and held-out ones, between which quality is measured; 0 measures nothing."""
    transport_samples: int = 2000
    """Pictures of each between which exact transport is computed; 0 leaves the bracket of W1 out."""

    def __post_init__(self) -> None:
        require(self.sample_every >= 1, f"sample-every must be at least 1, got {self.sample_every}")
        require(self.grid >= 1, f"grid must be at least 1, got {self.grid}")
        require(self.samples == 0 or self.samples >= 100, f"samples must be 0 or at least 100, got {self.samples}")
        require(
            self.transport_samples == 0 or self.transport_samples >= 10,
            f"transport-samples must be 0 or at least 10, got {self.transport_samples}",
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a generator of pictures against a critic that estimates the Wasserstein distance to the data."""

    task: ClassVar[str] = "gan"

    seed: int = 0
    """Seed of the initial weights, the order of the pictures and the latents."""
    data: DataConfig = field(default_factory=DataConfig)
    gan: GanConfig = field(default_factory=GanConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
