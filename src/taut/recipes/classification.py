"""Recipes of the classification task. A variant is another recipe with a few fields replaced."""

from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def digits() -> Config:
    """1-Lipschitz network on scikit-learn's 8x8 digits: no download, about a minute on two cores."""
    return Config(
        data=DataConfig(dataset="digits", batch_size=128),
        model=ModelConfig(width=256, depth=3),
        loss=LossConfig(temperature=0.25, offset=1.0),
        optimizer=OptimizerConfig(epochs=60, lr=5e-3, warmup=0.05),
        engine=EngineConfig(log_every=10, threads=1),  # matrices so small that a second thread costs more than it gives
        evaluation=EvaluationConfig(radii=(0.1, 0.25, 0.5, 0.75, 1.0), validate_every=5),
    )


def mnist() -> Config:
    """1-Lipschitz network on MNIST, from its four idx files."""
    return Config(
        data=DataConfig(dataset="mnist", batch_size=256),
        model=ModelConfig(width=512, depth=3),
        loss=LossConfig(temperature=0.25, offset=1.5),
        optimizer=OptimizerConfig(epochs=20, lr=2e-3, warmup=0.02),
        engine=EngineConfig(log_every=50),
        evaluation=EvaluationConfig(radii=(0.1, 0.3, 0.5, 1.0, 1.58), attack_samples=1000),
    )


def mnist_wide_margin() -> Config:
    """MNIST with a larger margin asked for: certified further out, less accurate near 0."""
    base = mnist()
    return replace(base, loss=replace(base.loss, temperature=1.0, offset=3.0))


def fashion_mnist() -> Config:
    """1-Lipschitz network on Fashion-MNIST, from its four idx files."""
    base = mnist()
    return replace(base, data=replace(base.data, dataset="fashion-mnist"))
