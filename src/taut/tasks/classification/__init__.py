"""Classification with certified robustness: train, certify, attack, report."""

from taut.tasks.classification.config import (
    Config,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    ModelConfig,
)
from taut.tasks.classification.headline import headline
from taut.tasks.classification.regularisation import RegularisationConfig
from taut.tasks.classification.run import show_finished, train
from taut.tasks.classification.saved import SavedRun, load_network, load_run

__all__ = [
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "ModelConfig",
    "RegularisationConfig",
    "SavedRun",
    "headline",
    "load_network",
    "load_run",
    "show_finished",
    "train",
]
