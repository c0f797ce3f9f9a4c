"""What can be chosen about one-dimensional fits; the field docstrings are the help of the command line."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from taut.errors import require
from taut.tasks.fit_1d.functions import names
from taut.tasks.fit_1d.kinds import LINEARS, activation_names, made_activation
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

if TYPE_CHECKING:
    FunctionName = str
    ActivationName = str
    LinearName = str
else:
    FunctionName = Literal[names()]
    ActivationName = Literal[activation_names()]
    LinearName = Literal[LINEARS]


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """The function on [-1, 1], 1-Lipschitz and with mean 0, and the points it is given at."""

    function: FunctionName = "f1"
    """f1: slopes 1 and -1, 9 random knots; f2: slopes 1, 0 and -1, 9 random knots; f3: cos(7 pi x)/(7 pi); f4: slope -1
    within 1/20 of 0, else 1; f4-sawtooth: the same with period 1/5; random-spline: random slopes in [-1, 1]."""
    function_seed: int = 0
    """Seed of the random knots and slopes: the function is the same for all networks and for every --seed."""
    points: int = 1000
    """Training points, evenly spaced."""
    batch_size: int = 100
    """Points per update of each network; every network has an order of its own."""

    def __post_init__(self) -> None:
        require(self.function_seed >= 0, f"function-seed must not be negative, got {self.function_seed}")
        require(self.points >= 2, f"points must be at least 2, got {self.points}")
        require(
            1 <= self.batch_size <= self.points,
            f"batch-size must be between 1 and the {self.points} points, got {self.batch_size}",
        )


@dataclass(frozen=True, kw_only=True)
class NetworksConfig:
    """The networks 1-width-...-width-1 that are compared."""

    activations: tuple[ActivationName, ...] = activation_names()
    """Activations, each with every kind of linear layer."""
    linears: tuple[LinearName, ...] = LINEARS
    """Linear layers: bjorck (orthonormal) and spectral-norm (bounded)."""
    models: int = 25
    """Networks of each kind, from different initial weights; they are trained at the same time, as one batch."""
    width: int = 10
    """Features of each hidden layer."""
    depth: int = 3
    """Hidden layers."""
    group_size: int = 5
    """Channels in a group of group-sort."""

    def __post_init__(self) -> None:
        for name in ("models", "width", "depth"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("activations", "linears"):
            chosen = getattr(self, name)
            require(bool(chosen), f"{name} must name at least one, got none")
            require(len(set(chosen)) == len(chosen), f"{name} must differ, got {' '.join(chosen)}")
        for activation in self.activations:
            made_activation(activation, self.width, group_size=self.group_size)

    @property
    def sizes(self) -> dict[str, int]:
        """What `network` takes."""
        return {"width": self.width, "depth": self.depth, "group_size": self.group_size}

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Activation and linear layer of each cell, in the order in which they are trained."""
        return [(activation, linear) for activation in self.activations for linear in self.linears]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Fit a function of one variable by 1-Lipschitz networks of every activation, many networks of each at a time."""

    task: ClassVar[str] = "fit-1d"

    seed: int = 0
    """Seed of the initial weights and of the order of the points."""
    target: TargetConfig = field(default_factory=TargetConfig)
    networks: NetworksConfig = field(default_factory=NetworksConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(epochs=60, lr=3e-2))
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
