"""The table of Wasserstein estimates: W1 between data and a generator, by critics of many kinds."""

from taut.tasks.wasserstein_table.config import Config, CriticsConfig, GeneratorConfig
from taut.tasks.wasserstein_table.run import show_finished, train

__all__ = ["Config", "CriticsConfig", "GeneratorConfig", "show_finished", "train"]
