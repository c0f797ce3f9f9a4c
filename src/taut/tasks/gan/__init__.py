"""Generative adversarial networks whose critic estimates a Wasserstein distance: clipped, penalised, or 1-Lipschitz."""

from taut.tasks.critic import CriticConfig
from taut.tasks.gan.config import Config, DataConfig, EvaluationConfig, GanConfig
from taut.tasks.gan.headline import check_comparable, headline
from taut.tasks.gan.run import show_finished, train
from taut.tasks.gan.saved import Generated, load_generator, load_network

__all__ = [
    "Config",
    "CriticConfig",
    "DataConfig",
    "EvaluationConfig",
    "GanConfig",
    "Generated",
    "check_comparable",
    "headline",
    "load_generator",
    "load_network",
    "show_finished",
    "train",
]
