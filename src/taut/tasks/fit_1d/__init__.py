"""Fits of a function of one variable by 1-Lipschitz networks: every activation, many networks of each at a time."""

from taut.tasks.fit_1d.config import Config, NetworksConfig, TargetConfig
from taut.tasks.fit_1d.run import show_finished, train
from taut.tasks.fit_1d.saved import load_network

__all__ = ["Config", "NetworksConfig", "TargetConfig", "load_network", "show_finished", "train"]
