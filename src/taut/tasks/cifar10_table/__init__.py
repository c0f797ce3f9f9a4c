"""The table of layers: one convolutional network with layers of many kinds, each trained for the same time."""

from taut.tasks.cifar10_table.config import Config, LayersConfig
from taut.tasks.cifar10_table.run import show_finished, train

__all__ = ["Config", "LayersConfig", "show_finished", "train"]
