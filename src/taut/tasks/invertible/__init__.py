"""Invertible residual networks that learn a distribution: densities, samples, and inverses with proven errors."""

from taut.tasks.invertible.config import Config, EvaluationConfig, LossConfig, NetworkConfig, TargetConfig
from taut.tasks.invertible.headline import headline
from taut.tasks.invertible.run import show_finished, train
from taut.tasks.invertible.saved import load_distribution, load_flow, load_network

__all__ = [
    "Config",
    "EvaluationConfig",
    "LossConfig",
    "NetworkConfig",
    "TargetConfig",
    "headline",
    "load_distribution",
    "load_flow",
    "load_network",
    "show_finished",
    "train",
]
