"""Denoisers with a proven Lipschitz constant, trained on patches and measured on whole pictures."""

from taut.tasks.denoising.config import Config, DataConfig, EvaluationConfig, ModelConfig
from taut.tasks.denoising.headline import headline
from taut.tasks.denoising.run import show_finished, train
from taut.tasks.denoising.saved import load_denoiser

__all__ = [
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "headline",
    "load_denoiser",
    "show_finished",
    "train",
]
