"""Recipes of the table of Wasserstein estimates: the published sizes, and one for a machine without a GPU."""

from taut.tasks.wasserstein_table import Config, CriticsConfig, GeneratorConfig
from taut.training.engine import EngineConfig


def full() -> Config:
    """Estimates of W1 between data and generator by activation and linear layer, at the published sizes."""
    return Config(budget="full")


def small() -> Config:
    """The same on narrower networks: about 20 minutes on two cores."""
    return Config(
        budget="small",
        jobs=2,
        generator=GeneratorConfig(generator_width=16, generator_epochs=2, generated=20_000),
        critics=CriticsConfig(width=360, steps=300, batch_size=256, lr=5e-3, seeds=2, samples=2000),
        engine=EngineConfig(threads=1, log_every=50, checkpoint_seconds=120.0),
    )
