"""What can be chosen about the table of estimates; the field docstrings are the help of the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from taut import data
from taut.errors import require
from taut.training.engine import EngineConfig

ROWS = ("ReLU", "PReLU", "MaxOut", "MaxMin", "Householder", "spline", "GroupSort(4)", "GroupSort(9)")
"""Activations of the table, as the literature writes them, from the least tight to the tightest."""

if TYPE_CHECKING:
    DatasetName = RowName = str
else:
    DatasetName = Literal[data.names()]
    RowName = Literal[ROWS]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """The generator whose distance to the data every critic estimates; it is trained once."""

    dataset: DatasetName = "mnist"
    """Data set of pictures."""
    data_root: Path | None = None
    """Folder of the data files, for data sets that are read from files; TAUT_DATA_ROOT when absent."""
    generator: Path | None = None
    """Folder of a finished GAN run whose generator is taken; one is trained when absent."""
    gan_type: Literal["wgan", "wgan-gp", "lwgan"] = "wgan-gp"
    """How it is trained."""
    generator_width: int = 64
    """Width of generator and discriminator."""
    generator_epochs: int = 50
    """Epochs of its training."""
    generated: int = 20_000
    """Pictures that are drawn from it: half to train critics on, half held out."""

    def __post_init__(self) -> None:
        for name in ("generator_width", "generator_epochs"):
            require(getattr(self, name) >= 1, f"{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        require(self.generated >= 1000, f"generated must be at least 1000, got {self.generated}")


@dataclass(frozen=True, kw_only=True)
class CriticsConfig:
    """The critics: all alike but for linear layers and activation."""

    rows: tuple[RowName, ...] = ROWS
    """Activations, one a row."""
    width: int = 720
    """Features of each hidden layer; 4 and 9 divide it, twice."""
    depth: int = 2
    """Number of hidden layers."""
    steps: int = 6000
    """Updates of each critic."""
    batch_size: int = 512
    """Pictures of each of the two distributions per update."""
    optimizer: Literal["adam", "aggmo"] = "adam"
    """Update rule."""
    lr: float = 1e-3
    """Peak learning rate; it falls to 0 like a cosine."""
    seeds: int = 3
    """Critics of each kind, from different initial weights and batches."""
    samples: int = 2000
    """Held-out pictures of each distribution, for the estimates and for exact transport alike."""

    def __post_init__(self) -> None:
        require(bool(self.rows), f"rows must name at least one of {', '.join(ROWS)}, got none")
        require(len(set(self.rows)) == len(self.rows), f"rows must differ, got {self.rows}")
        for name in ("depth", "steps", "batch_size", "seeds"):
            require(getattr(self, name) >= 1, f"{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        require(self.width >= 36 and self.width % 36 == 0, f"width must be a multiple of 36, got {self.width}")
        require(self.lr > 0, f"lr must be positive, got {self.lr:g}")
        require(self.samples >= 100, f"samples must be at least 100, got {self.samples}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Estimate W1 between data and a generator by critics of eight activations and two kinds of linear layers."""

    task: ClassVar[str] = "wasserstein-table"

    seed: int = 0
    """Seed of the generator; critics have the seeds from 0 on."""
    budget: Literal["small", "full"] = "full"
    """small: about 20 minutes on two cores, on narrower networks; full: the published sizes, for a GPU."""
    jobs: int = 1
    """Critics that are trained at the same time, each by a process of its own."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    critics: CriticsConfig = field(default_factory=CriticsConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        require(self.jobs >= 1, f"jobs must be at least 1, got {self.jobs}")
