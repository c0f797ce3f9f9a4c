"""Recipes of the denoising task: a machine without a GPU, the published sizes, and pictures that need no download."""

from dataclasses import replace

from taut.tasks.denoising import Config, DataConfig, EvaluationConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def denoise() -> Config:
    """Denoiser with a proven constant on BSD, --sigma 5, 15 or 25: half an hour on two cores, or --budget full."""
    return Config(
        data=DataConfig(batch_size=16, patch_size=40),
        model=ModelConfig(
            width=64, depth=6, activation="n-activation", padding_mode="zeros", downsampling=2, threshold=0.5
        ),
        optimizer=OptimizerConfig(epochs=100, lr=1e-2, threshold_rate=1 / 40, betas=(0.9, 0.99), warmup=0.02),
        engine=EngineConfig(log_every=50),
        evaluation=EvaluationConfig(unconstrained_lr=2e-3),
    )


def denoise_full() -> Config:
    """The same at the published sizes: 8 convolutions of 64 channels, splines of 51 knots; wants a GPU."""
    return Config(
        data=DataConfig(batch_size=128, patch_size=40, steps_per_epoch=1000),
        model=ModelConfig(width=64, depth=8, activation="linear-spline", knots=51, spline_range=0.1),
        optimizer=OptimizerConfig(epochs=100, lr=4e-3, betas=(0.9, 0.99), warmup=0.02),
        engine=EngineConfig(log_every=50),
        evaluation=EvaluationConfig(unconstrained_lr=1e-3, validate_every=1),
    )


def denoise_photographs() -> Config:
    """Denoiser with a proven constant on photographs of scikit-image: no download, two minutes on two cores."""
    base = denoise()
    return replace(
        base,
        data=replace(base.data, dataset="photographs", batch_size=8, steps_per_epoch=50),
        model=replace(base.model, width=32, depth=4),
        optimizer=replace(base.optimizer, epochs=40),
        engine=replace(base.engine, log_every=10),
    )
