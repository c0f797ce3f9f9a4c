"""Wasserstein-1 distances between two distributions: a critic from below, exact transport from above."""

from taut.tasks.critic import CriticConfig
from taut.tasks.wasserstein.config import Config, DistributionsConfig, EvaluationConfig
from taut.tasks.wasserstein.headline import headline
from taut.tasks.wasserstein.run import show_finished, train
from taut.tasks.wasserstein.saved import load_network

__all__ = [
    "Config",
    "CriticConfig",
    "DistributionsConfig",
    "EvaluationConfig",
    "headline",
    "load_network",
    "show_finished",
    "train",
]
