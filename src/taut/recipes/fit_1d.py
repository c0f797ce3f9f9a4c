"""Recipe of the one-dimensional fits."""

from taut.tasks.fit_1d import Config
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def fit_1d() -> Config:
    """Functions of one variable fitted by networks of every activation: about four minutes on one core."""
    return Config(
        optimizer=OptimizerConfig(epochs=60, lr=3e-2),
        engine=EngineConfig(
            log_every=100, threads=1
        ),  # matrices so small that a second thread costs more than it gives
    )
