"""Restoration of a user's picture: plug-and-play iterations around a proven denoiser, and the theorem that holds."""

from taut.tasks.restoration.config import AlgorithmConfig, Config, DenoiserConfig, OperatorConfig
from taut.tasks.restoration.run import show_finished, train

__all__ = ["AlgorithmConfig", "Config", "DenoiserConfig", "OperatorConfig", "show_finished", "train"]
