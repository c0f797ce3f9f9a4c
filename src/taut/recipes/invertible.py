"""Recipes of invertible networks: a density on a line, and densities in the plane."""

from dataclasses import replace

from taut.tasks.invertible import Config, LossConfig, NetworkConfig, TargetConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def invertible_1d() -> Config:
    """Invertible network on 5 Bern(1/2) + N(0, 1), by forward and inverse MMD: a minute or two on two cores."""
    return Config(
        target=TargetConfig(target="mixture([gaussian(0), gaussian(5)])", batch_size=256),
        network=NetworkConfig(blocks=4, lipschitz=0.8),
        loss=LossConfig(loss="mmd-both"),
        optimizer=OptimizerConfig(epochs=12, lr=1e-2, ema=0.99),
        engine=EngineConfig(log_every=10, threads=1),  # a second thread gains nothing at this width
    )


def invertible_2d() -> Config:
    """Invertible network on two moons or any --target, by likelihood or --loss mmd-both: two minutes on two cores."""
    base = invertible_1d()
    return replace(
        base,
        target=replace(base.target, target="moons(noise=0.1)"),
        network=NetworkConfig(),
        loss=LossConfig(loss="likelihood"),
        optimizer=replace(base.optimizer, epochs=24),
    )
