"""Everything that can be chosen about an invertible network and its training; field docstrings are the help."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from taut import models
from taut.errors import require
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

if TYPE_CHECKING:
    ActivationName = str
    LinearName = str
else:
    ActivationName = Literal[tuple(models.critic_activations())]
    LinearName = Literal[tuple(models.critic_linears())]


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """What is learned."""

    target: str = "moons(noise=0.05)"
    """Distribution to learn: moons(..), circles(..), ring(..), spirals(..), checkerboard(..), pinwheel(..),
    gaussian(..), mixture(..), cube(..), samples in a file (.npy, .npz, .safetensors), MODULE:NAME of your own sampler;
    of any dimension, one and two are drawn."""
    data_root: Path | None = None
    """Folder of the data files, for data sets that are read from files; TAUT_DATA_ROOT when absent."""
    batch_size: int = 256
    """Samples per update, over all processes together."""
    steps_per_epoch: int = 50
    """Updates between two looks at the held-out samples; an epoch of the schedule has so many."""

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, f"batch-size must be at least 2, got {self.batch_size}")
        require(self.steps_per_epoch >= 1, f"steps-per-epoch must be at least 1, got {self.steps_per_epoch}")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A chain of blocks x + L g(x), each g 1-Lipschitz (l2), behind a layer that standardises the samples."""

    blocks: int = 8
    """Number of blocks."""
    lipschitz: float = 0.9
    """L of each block, in (0, 1): the nearer to 1, the more a block can do, and the longer its inverse takes."""
    width: int = 32
    """Features of the hidden layers of each branch g."""
    depth: int = 2
    """Hidden layers of each branch."""
    linear: LinearName = "bjorck"
    """Dense layers."""
    activation: ActivationName = "smooth-max-min"
    """Activation after each hidden layer. By likelihood a smooth one is needed: of a piecewise linear network the
    determinant is constant on pieces, and its gradient does not see where they meet."""
    group_size: int = 2
    """Size of the groups of activations that have groups."""

    def __post_init__(self) -> None:
        require(0 < self.lipschitz < 1, f"lipschitz must be between 0 and 1, got {self.lipschitz:g}")
        for name in ("blocks", "width", "depth"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What training minimises."""

    loss: Literal["mmd-forward", "mmd-inverse", "mmd-both", "likelihood"] = "likelihood"
    """MMD between latents of data and normal samples, MMD between inverses of normal samples and data, both, or minus
    the log-likelihood."""
    kernel: Literal["gaussian", "inverse-multiquadric", "energy"] = "inverse-multiquadric"
    """Kernel of the MMD, in training and of what is measured."""
    bandwidths: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0, 2.0)
    """Bandwidths of the kernel, over which it is averaged, in units of the standardised samples; energy has none."""
    block_tolerance: float = 1e-3
    """Error (l2) of the inverse of each block in training; in evaluation --tolerance counts."""
    log_det: Literal["auto", "exact", "roulette", "series"] = "auto"
    """Log determinant in training: exact, the series with a random number of terms (no bias), or with --terms terms.
    auto is exact up to 8 dimensions, and else roulette. What is measured is exact."""
    terms: int = 8
    """Terms of the series; with roulette those before the number becomes random."""

    def __post_init__(self) -> None:
        fine = all(math.isfinite(s) and s > 0 for s in self.bandwidths)
        require(bool(self.bandwidths) and fine, f"bandwidths must be positive numbers, got {self.bandwidths}")
        require(self.block_tolerance > 0, f"block-tolerance must be positive, got {self.block_tolerance:g}")
        require(self.terms >= 1, f"terms must be at least 1, got {self.terms}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured on held-out samples."""

    samples: int = 2000
    """Held-out samples, and as many others for reference; fewer where there are fewer."""
    tolerance: float = 1e-6
    """Error (l2) of the inverse, in units of the samples, for which the number of steps is proven."""
    transport_samples: int = 1000
    """Samples between which the Wasserstein-1 distance is computed exactly; 0 computes none."""

    def __post_init__(self) -> None:
        require(self.samples >= 2, f"samples must be at least 2, got {self.samples}")
        require(self.tolerance > 0, f"tolerance must be positive, got {self.tolerance:g}")
        require(
            self.transport_samples == 0 or self.transport_samples >= 2,
            f"transport-samples must be 0 or at least 2, got {self.transport_samples}",
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn a distribution by an invertible network whose inverse has a proven error."""

    task: ClassVar[str] = "invertible"

    seed: int = 0
    """Seed of the initial weights and of the samples trained on; those held out are the same for every seed."""
    target: TargetConfig = field(default_factory=TargetConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
