"""What can be chosen about the table of layers; the field docstrings are the help of the command line."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from taut import models
from taut.data.streaming import STREAM
from taut.errors import require
from taut.tasks.classification import DataConfig, EvaluationConfig, LossConfig, ModelConfig, RegularisationConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig
from taut.training.updates import UpdateConfig

LAYERS = ("aoc", "aol", "bcop", "bro", "cayley", "cpl", "rko", "sandwich", "sll", "soc")
"""The layers of the table, where no others are asked for."""

if TYPE_CHECKING:
    ConvolutionName = str
else:
    ConvolutionName = Literal[tuple(name for name in models.classifier_convolutions() if name != "conv")]


@dataclass(frozen=True, kw_only=True)
class LayersConfig:
    """Which layers are compared, and for how long each is trained."""

    convolutions: tuple[ConvolutionName, ...] = LAYERS
    """Layers, one a row."""
    minutes: float = 24 * 60.0
    """Time for the updates of each; measuring before and evaluating after them comes on top."""
    timed_updates: int = 5
    """Updates by which the time of one is measured, before anything is trained; their median counts."""

    def __post_init__(self) -> None:
        given = self.convolutions
        require(bool(given), f"convolutions must name at least one of {', '.join(LAYERS)}, got none")
        require(len(set(given)) == len(given), f"convolutions must differ, got {' '.join(given)}")
        require(0 < self.minutes < math.inf, f"minutes must be a positive number, got {self.minutes:g}")
        require(self.timed_updates >= 1, f"timed-updates must be at least 1, got {self.timed_updates}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a classifier with convolutions of many kinds, each for the same time, certify and attack all of them."""

    task: ClassVar[str] = "cifar10-table"

    seed: int = 0
    """Seed of every network, of the order of its pictures, and of the attack."""
    budget: Literal["small", "full"] = "full"
    """small: 2 minutes a layer, on a small network; full: 24 hours of a GPU a layer, on the published one."""
    layers: LayersConfig = field(default_factory=LayersConfig)
    data: DataConfig = field(default_factory=lambda: DataConfig(dataset="cifar10"))
    model: ModelConfig = field(default_factory=lambda: ModelConfig(architecture="convnet-xs"))
    loss: LossConfig = field(default_factory=LossConfig)
    regularisation: RegularisationConfig = field(default_factory=RegularisationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    updates: UpdateConfig = field(default_factory=UpdateConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        require(self.data.dataset != STREAM, f"a table needs a data set that is held in memory, got {STREAM}")
        require(self.evaluation.certify, "a table of certified accuracy needs certificates: leave out --no-certify")
        _check_left(self.model, "convolution", "the rows differ in it, see --convolutions")
        _check_left(self.optimizer, "epochs", "they follow from --minutes")
        _check_left(self.data, "per_class", "it follows from --minutes")
        _check_left(self.data, "index_file", "what is trained on follows from --minutes")
        _check_left(self.evaluation, "validate_every", "held-out pictures are looked at when the time is over")
        alone = self.engine.devices == self.engine.num_nodes == 1
        require(alone, "a table gives each layer the same time of one device: devices and num-nodes must be 1")


def _check_left(section: Any, name: str, what: str) -> None:
    """Refuse an option that a table sets for each row itself."""
    given = getattr(section, name)
    option = name.replace("_", "-")
    require(given == getattr(type(section)(), name), f"{option} cannot be chosen for a table, got {given}: {what}")
